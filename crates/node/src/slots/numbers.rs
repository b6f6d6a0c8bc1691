//! Which slot numbers are taken. The smallest free one goes first, so that names
//! and addresses stay few; taking one does not look at the others.

use std::collections::BTreeSet;

use pando_vm::network::SlotNumber;

/// The most slots of one node: what its address pool holds, and more than fits.
pub(super) const MAX_SLOTS: u32 = 4000;

#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// No number from here on was ever taken.
    fresh: u32,
    /// Those below that are free.
    free: BTreeSet<u32>,
}

impl Numbers {
    pub(super) fn take(&mut self) -> Option<SlotNumber> {
        if let Some(number) = self.free.pop_first() {
            return Some(SlotNumber::new(number));
        }
        let number = self.fresh;
        (number < MAX_SLOTS).then(|| {
            self.fresh += 1;
            SlotNumber::new(number)
        })
    }

    /// Takes this one, which exists already.
    pub(super) fn claim(&mut self, number: SlotNumber) {
        let number = number.number();
        if number >= self.fresh {
            self.free.extend(self.fresh..number);
            self.fresh = number + 1;
        }
        self.free.remove(&number);
    }

    pub(super) fn give_back(&mut self, number: SlotNumber) {
        if number.number() < self.fresh {
            self.free.insert(number.number());
        }
    }

    pub(super) fn is_taken(&self, number: SlotNumber) -> bool {
        number.number() < self.fresh && !self.free.contains(&number.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_free_one_goes_first() {
        let mut numbers = Numbers::default();
        numbers.claim(SlotNumber::new(2));
        let taken: Vec<_> =
            std::iter::from_fn(|| numbers.take()).take(3).map(SlotNumber::number).collect();
        assert_eq!(taken, [0, 1, 3]);
        numbers.give_back(SlotNumber::new(1));
        assert!(!numbers.is_taken(SlotNumber::new(1)) && numbers.is_taken(SlotNumber::new(2)));
        assert_eq!(numbers.take(), Some(SlotNumber::new(1)));
    }

    #[test]
    fn they_have_an_end() {
        let mut numbers = Numbers::default();
        assert_eq!(std::iter::from_fn(|| numbers.take()).count(), MAX_SLOTS as usize);
        numbers.give_back(SlotNumber::new(7));
        assert_eq!(numbers.take(), Some(SlotNumber::new(7)));
        assert_eq!(numbers.take(), None);
    }
}
