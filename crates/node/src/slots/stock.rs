//! How many slots to keep ready: a few, more after the stock ran out, fewer again
//! when nobody came near its end. Pure.

use std::str::FromStr;

/// How many are ready where nobody creates much.
const FEWEST: usize = 2;
/// How many are ready at most.
const MOST: usize = 32;

/// How many slots the operator wants ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmSlots {
    /// As many as the demand asks for.
    Adaptive,
    /// This many; with 0, each create makes its own.
    Fixed(usize),
}

impl FromStr for WarmSlots {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "auto" => Ok(Self::Adaptive),
            Ok(count) if count <= MOST => Ok(Self::Fixed(count)),
            _ => Err(format!("`auto`, or a number from 0 to {MOST}")),
        }
    }
}

#[derive(Debug)]
pub(super) struct Stock {
    warm: WarmSlots,
    wanted: usize,
    /// The fewest that were left since the last look.
    lowest: usize,
}

impl Stock {
    pub(super) fn new(warm: WarmSlots) -> Self {
        let wanted = match warm {
            WarmSlots::Adaptive => FEWEST,
            WarmSlots::Fixed(count) => count,
        };
        Self { warm, wanted, lowest: wanted }
    }

    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Somebody came for one, and `left` are left.
    pub(super) fn taken(&mut self, got_one: bool, left: usize) {
        self.lowest = self.lowest.min(left);
        if self.warm == WarmSlots::Adaptive && !got_one {
            self.wanted = (self.wanted * 2).min(MOST);
        }
    }

    /// Time has passed: with more than half always left, half would do.
    pub(super) fn looked(&mut self) {
        if self.warm == WarmSlots::Adaptive && self.lowest > self.wanted / 2 {
            self.wanted = (self.wanted / 2).max(FEWEST);
        }
        self.lowest = self.wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_a_burst_and_shrinks_in_peace() {
        let mut stock = Stock::new(WarmSlots::Adaptive);
        for _ in 0..10 {
            stock.taken(false, 0);
        }
        assert_eq!(stock.wanted(), MOST);
        // The first look is at the time of the burst.
        stock.looked();
        assert_eq!(stock.wanted(), MOST);
        stock.taken(true, MOST - 1);
        stock.looked();
        assert_eq!(stock.wanted(), MOST / 2);
        for _ in 0..10 {
            stock.looked();
        }
        assert_eq!(stock.wanted(), FEWEST);
    }

    #[test]
    fn a_fixed_stock_stays() {
        for count in [0, 3] {
            let mut stock = Stock::new(WarmSlots::Fixed(count));
            stock.taken(false, 0);
            stock.looked();
            assert_eq!(stock.wanted(), count);
        }
        assert_eq!("auto".parse(), Ok(WarmSlots::Adaptive));
        assert_eq!("0".parse(), Ok(WarmSlots::Fixed(0)));
        assert!("many".parse::<WarmSlots>().is_err() && "33".parse::<WarmSlots>().is_err());
    }
}
