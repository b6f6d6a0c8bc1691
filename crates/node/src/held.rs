//! How many bytes the server holds for requests, over all of them: what came from
//! clients and guests and was not passed on yet.
//!
//! Each payer gets as much as it leaves free. Alone it may take half; two that take
//! all they can leave a third; so whoever comes next finds room, however many are
//! greedy before. Nobody waits for room: what finds none is refused, gives back what
//! it had, and may be tried again.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pando_types::{Code, OrgId, PublicError};

/// When a refused request is worth another try.
const RETRY_AFTER_SECS: u32 = 5;
/// The least that a growing text is counted with.
const MIN_GROWTH_BYTES: usize = 256;

/// All there is to take. Clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    limit_bytes: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    bytes: usize,
    /// By payer, those that hold something.
    by_payer: HashMap<Payer, usize>,
}

/// Whom it is counted for: an org, or all those together who gave no key.
pub type Payer = Option<OrgId>;

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server holds as much for requests under way as it has room for")]
pub struct NoRoom;

impl From<NoRoom> for PublicError {
    fn from(error: NoRoom) -> Self {
        Self::new(Code::Unavailable, error.to_string())
            .hint("take the answers that wait, have fewer requests at once, or ask for less")
            .retry_after(RETRY_AFTER_SECS)
    }
}

impl Budget {
    /// So much, and nothing taken.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self(Arc::new(Shared { limit_bytes, taken: Mutex::default() }))
    }

    /// What is taken, by everybody.
    #[must_use]
    pub fn taken_bytes(&self) -> usize {
        self.taken().bytes
    }

    /// Where `payer` takes from it.
    #[must_use]
    pub fn account(&self, payer: Payer) -> Account {
        Account { budget: self.clone(), payer }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, payer: Payer, bytes: usize) -> Result<(), NoRoom> {
        if bytes == 0 {
            return Ok(());
        }
        let mut taken = self.taken();
        let theirs = taken.by_payer.get(&payer).copied().unwrap_or(0).saturating_add(bytes);
        let all = taken.bytes.saturating_add(bytes);
        if theirs > self.0.limit_bytes.saturating_sub(all) {
            return Err(NoRoom);
        }
        taken.bytes = all;
        taken.by_payer.insert(payer, theirs);
        Ok(())
    }

    fn give_back(&self, payer: Payer, bytes: usize) {
        let mut taken = self.taken();
        taken.bytes = taken.bytes.saturating_sub(bytes);
        if let Some(theirs) = taken.by_payer.get_mut(&payer) {
            *theirs = theirs.saturating_sub(bytes);
            if *theirs == 0 {
                taken.by_payer.remove(&payer);
            }
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit_bytes, taken_bytes) = (self.0.limit_bytes, self.taken_bytes());
        f.debug_struct("Budget").field("limit", &limit_bytes).field("taken", &taken_bytes).finish()
    }
}

/// Where one payer takes from a [`Budget`].
#[derive(Debug, Clone)]
pub struct Account {
    budget: Budget,
    payer: Payer,
}

impl Account {
    /// Takes so many bytes.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn take(&self, bytes: usize) -> Result<Charge, NoRoom> {
        let mut charge = self.nothing();
        charge.grow(bytes)?;
        Ok(charge)
    }

    /// A charge that may grow.
    #[must_use]
    pub fn nothing(&self) -> Charge {
        Charge { account: self.clone(), bytes: 0 }
    }
}

/// Bytes that are counted for as long as this lives.
#[derive(Debug)]
pub struct Charge {
    account: Account,
    bytes: usize,
}

impl Charge {
    /// How many.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes so many more; it stays as it is when there is no room for them.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.account.budget.take(self.account.payer, bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back what is more than so many.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.account.budget.give_back(self.account.payer, less);
        self.bytes -= less;
    }

    /// A part of it, at most so many bytes, that lives by itself.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { account: self.account.clone(), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use proptest::prelude::*;

    const LIMIT_BYTES: usize = 1200;

    /// As much as an account gets, one by one.
    fn all(account: &Account) -> Charge {
        let mut charge = account.nothing();
        while charge.grow(1).is_ok() {}
        charge
    }

    #[test]
    fn each_gets_as_much_as_it_leaves_free() {
        let budget = Budget::new(LIMIT_BYTES);
        let mut held = Vec::new();
        for share in [600, 300, 150] {
            let charge = all(&budget.account(Some(OrgId::new())));
            assert_eq!(charge.bytes(), share);
            held.push(charge);
        }
        // Those who leave make room for those who stay.
        held.remove(0);
        assert_eq!(all(&budget.account(None)).bytes(), 375);
        drop(held);
        assert_eq!(budget.taken_bytes(), 0);
    }

    #[test]
    fn however_many_are_greedy_the_next_finds_room() {
        let budget = Budget::new(1 << 20);
        let greedy: Vec<Charge> =
            (0..9).map(|_| all(&budget.account(Some(OrgId::new())))).collect();
        assert!(greedy.iter().all(|charge| charge.bytes() > 0));
        assert!(budget.account(Some(OrgId::new())).take(1 << 10).is_ok());
    }

    #[test]
    fn a_charge_that_finds_no_room_stays_as_it_was() {
        let budget = Budget::new(LIMIT_BYTES);
        let account = budget.account(None);
        let mut charge = account.take(100).unwrap();
        assert_eq!(charge.grow(501), Err(NoRoom));
        assert_eq!(charge.grow(usize::MAX), Err(NoRoom));
        assert_eq!((charge.bytes(), budget.taken_bytes()), (100, 100));
        let part = charge.split(40);
        assert_eq!((charge.bytes(), part.bytes()), (60, 40));
        charge.shrink_to(10);
        assert_eq!(budget.taken_bytes(), 50);
        drop((charge, part));
        assert_eq!(budget.taken_bytes(), 0);
        assert!(budget.taken().by_payer.is_empty());
    }

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

    #[test]
    fn many_at_once_never_pass_the_limit() {
        let budget = Budget::new(LIMIT_BYTES);
        let most = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let account = budget.account(Some(OrgId::new()));
                    for bytes in (1..500).cycle().take(5000) {
                        let charge = account.take(bytes);
                        most.fetch_max(budget.taken_bytes(), Ordering::Relaxed);
                        drop(charge);
                    }
                });
            }
        });
        assert!((1..=LIMIT_BYTES).contains(&most.into_inner()));
        assert_eq!(budget.taken_bytes(), 0);
    }

    proptest! {
        #[test]
        fn what_is_taken_is_what_is_held(steps in proptest::collection::vec((0..4_usize, 0..400_usize, any::<bool>()), 0..60)) {
            let budget = Budget::new(LIMIT_BYTES);
            let accounts: Vec<Account> = (0..4).map(|_| budget.account(Some(OrgId::new()))).collect();
            let mut held: Vec<Charge> = Vec::new();
            for (who, bytes, give_back) in steps {
                if give_back && !held.is_empty() {
                    held.remove(bytes % held.len());
                } else {
                    held.extend(accounts[who].take(bytes));
                }
                let sum: usize = held.iter().map(Charge::bytes).sum();
                prop_assert_eq!(budget.taken_bytes(), sum);
                prop_assert!(sum <= LIMIT_BYTES);
            }
        }
    }
}
