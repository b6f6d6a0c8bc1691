//! How many bytes the server holds for requests, over all of them: what came from
//! clients and guests and was not passed on yet.
//!
//! Each payer gets as much as it leaves free. Alone it may take half; two that take
//! all they can leave a third; so whoever comes next finds room, however many are
//! greedy before. Nobody waits for room: what finds none is refused, gives back what
//! it had, and may be tried again.

mod value;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pando_types::{Code, OrgId, PublicError};

pub use value::{Held, HeldValues};

/// When a refused request is worth another try.
const RETRY_AFTER_SECS: u32 = 5;

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
