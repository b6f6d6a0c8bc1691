//! Values that are counted for as long as they live.

use std::ops::Deref;

use super::{Account, Charge, NoRoom};

/// The least that a growing text is counted with.
const MIN_GROWTH_BYTES: usize = 256;

/// A value with what it is counted with.
#[derive(Debug)]
pub struct Held<T> {
    value: T,
    charge: Charge,
}

impl<T> Held<T> {
    /// A value that `charge` counts.
    #[must_use]
    pub fn new(value: T, charge: Charge) -> Self {
        Self { value, charge }
    }

    /// The value, and the charge that goes on counting.
    #[must_use]
    pub fn apart(self) -> (T, Charge) {
        (self.value, self.charge)
    }

    /// The value made into another that takes no more room.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Held<U> {
        Held { value: change(self.value), charge: self.charge }
    }

    /// The same, where it may fail.
    ///
    /// # Errors
    /// What `change` said.
    pub fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Held<U>, E> {
        Ok(Held { value: change(self.value)?, charge: self.charge })
    }
}

impl<T: AsRef<[u8]>> Held<T> {
    /// Bytes, counted by their length.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn counted(value: T, account: &Account) -> Result<Self, NoRoom> {
        let charge = account.take(value.as_ref().len())?;
        Ok(Self { value, charge })
    }
}

impl Held<Vec<u8>> {
    /// Nothing yet.
    #[must_use]
    pub fn nothing(account: &Account) -> Self {
        Self { value: Vec::new(), charge: account.nothing() }
    }

    /// Adds bytes. What is counted is the room that they are in.
    ///
    /// # Errors
    /// [`NoRoom`]; it stays as it was.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        let wanted = self.value.len() + bytes.len();
        if wanted > self.value.capacity() {
            let room = wanted.next_power_of_two().max(MIN_GROWTH_BYTES);
            self.charge.grow(room - self.value.capacity())?;
            self.value.reserve_exact(room - self.value.len());
        }
        self.value.extend_from_slice(bytes);
        Ok(())
    }
}

impl<T> IntoIterator for Held<Vec<T>> {
    type Item = T;
    type IntoIter = HeldValues<T>;

    fn into_iter(self) -> HeldValues<T> {
        HeldValues { values: self.value.into_iter(), _charge: self.charge }
    }
}

/// Values one by one, all of them counted until the last was taken.
#[derive(Debug)]
pub struct HeldValues<T> {
    values: std::vec::IntoIter<T>,
    _charge: Charge,
}

impl<T> Iterator for HeldValues<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.values.next()
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        self.value.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held::Budget;

    #[test]
    fn what_grows_is_counted_by_the_room_it_is_in() {
        let budget = Budget::new(1 << 20);
        let mut held = Held::nothing(&budget.account(None));
        for length in 1..=1000 {
            held.push(b"x").unwrap();
            assert_eq!(held.len(), length);
            assert_eq!(budget.taken_bytes(), held.value.capacity());
        }
        assert_eq!(budget.taken_bytes(), 1024);
        assert_eq!(held.push(&[0; 1 << 20]), Err(NoRoom));
        assert_eq!(held.len(), 1000);
        let (bytes, charge) = held.apart();
        assert_eq!((bytes.len(), charge.bytes()), (1000, 1024));
    }
}
