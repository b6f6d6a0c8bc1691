//! How fast each key asks, and when it was last used: in memory, with an entry for
//! each key that was used lately.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use pando_store::KeyUse;
use pando_types::{ApiKeyId, Code, PublicError, Timestamp, quota};

/// A use is written down when the last one that was is this old.
const NOTE_EVERY: Duration = Duration::from_secs(300);
/// Entries above which those that were idle are dropped.
const SWEEP_ABOVE: usize = 4096;
/// An entry that was idle for this long holds nothing that a new one would not.
const IDLE: Duration = Duration::from_secs(300);

/// The keys in use. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct KeyUsage(Arc<Mutex<HashMap<ApiKeyId, Entry>>>);

#[derive(Debug)]
struct Entry {
    rate: NonZeroU32,
    limiter: DefaultDirectRateLimiter,
    used: Instant,
    noted: Option<Instant>,
}

impl Entry {
    fn new(rate: NonZeroU32, now: Instant) -> Self {
        let burst = rate.saturating_add(rate.get());
        let limiter = RateLimiter::direct(Quota::per_second(rate).allow_burst(burst));
        Self { rate, limiter, used: now, noted: None }
    }
}

/// What follows from one more request.
#[derive(Debug, PartialEq, Eq)]
pub enum Use {
    /// Nothing.
    Known,
    /// It is to be written down.
    Note,
}

impl KeyUsage {
    /// Counts one more request of a key.
    ///
    /// # Errors
    /// [`Code::OverQuota`] when it asks too fast.
    pub fn count(&self, key: &KeyUse, now: Timestamp) -> Result<Use, PublicError> {
        let rate = key.requests_per_second.unwrap_or(quota::Quota::default().requests_per_second);
        let rate = NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
        let instant = Instant::now();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() > SWEEP_ABOVE {
            entries.retain(|_, entry| instant.duration_since(entry.used) < IDLE);
        }
        let entry = entries.entry(key.key.id).or_insert_with(|| Entry::new(rate, instant));
        if entry.rate != rate {
            *entry = Entry { noted: entry.noted, ..Entry::new(rate, instant) };
        }
        entry.used = instant;
        if let Err(early) = entry.limiter.check() {
            let wait = early.wait_time_from(DefaultClock::default().now());
            let secs = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            let message = format!("this API key asks faster than {rate} times a second");
            return Err(PublicError::new(Code::OverQuota, message).retry_after(secs));
        }
        let written = key.key.last_used.is_some_and(|at| now.since(at) < NOTE_EVERY);
        // Whoever asks at the same time has read the same old row.
        let noted = entry.noted.is_some_and(|at| instant.duration_since(at) < NOTE_EVERY);
        if written || noted {
            return Ok(Use::Known);
        }
        entry.noted = Some(instant);
        Ok(Use::Note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_store::KeyRow;
    use pando_types::OrgId;

    fn key(requests_per_second: Option<u32>, last_used: Option<i64>) -> KeyUse {
        let key = KeyRow {
            id: ApiKeyId::new(),
            org: OrgId::new(),
            label: String::new(),
            prefix: String::new(),
            hash: [0; 32],
            created: Timestamp::from_millis(0),
            expires: None,
            last_used: last_used.map(Timestamp::from_millis),
        };
        KeyUse { key, requests_per_second }
    }

    #[test]
    fn a_key_that_asks_too_fast_is_refused_and_others_are_not() {
        let usage = KeyUsage::default();
        let now = Timestamp::from_millis(0);
        let (fast, other) = (key(Some(5), None), key(Some(5), None));
        let refused = (0..100).find_map(|_| usage.count(&fast, now).err()).unwrap();
        assert_eq!((refused.code, refused.retry_after_secs), (Code::OverQuota, Some(1)));
        assert!(usage.count(&other, now).is_ok());
        // A new rate counts at once.
        assert!(usage.count(&KeyUse { requests_per_second: None, ..fast }, now).is_ok());
    }

    #[test]
    fn a_use_is_written_down_now_and_then() {
        let usage = KeyUsage::default();
        let now = Timestamp::from_millis(1_000_000);
        let fresh = key(None, None);
        assert_eq!(usage.count(&fresh, now), Ok(Use::Note));
        assert_eq!(usage.count(&fresh, now), Ok(Use::Known));
        assert_eq!(usage.count(&key(None, Some(999_000)), now), Ok(Use::Known));
        assert_eq!(usage.count(&key(None, Some(600_000)), now), Ok(Use::Note));
    }
}
