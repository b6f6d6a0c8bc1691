//! How much memory the machines of this host may take together: a guest takes little
//! at first and may grow to all that it was told it has.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pando_vm::cage::VMM_OVERHEAD_BYTES;
use pando_vm::driver::Shape;

/// How many times the memory that is for machines may be promised to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overcommit {
    percent: u64,
}

impl Default for Overcommit {
    /// Ten times: an idle machine keeps a fiftieth of what it was promised.
    fn default() -> Self {
        Self { percent: 1000 }
    }
}

impl FromStr for Overcommit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<f64>() {
            // In range, so the cast loses nothing but what is less than a percent.
            Ok(factor) if (1.0..=100.0).contains(&factor) => {
                Ok(Self { percent: (factor * 100.0).round() as u64 })
            }
            _ => Err("a number from 1 (all of the memory, once) to 100".to_owned()),
        }
    }
}

impl Overcommit {
    fn of(self, memory_bytes: u64) -> u64 {
        u64::try_from(u128::from(memory_bytes) * u128::from(self.percent) / 100).unwrap_or(u64::MAX)
    }
}

/// What was promised to all machines together.
#[derive(Debug)]
pub(crate) struct Promises {
    overcommit: Overcommit,
    bytes: AtomicU64,
}

/// What one machine may take; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Promise {
    promises: Arc<Promises>,
    bytes: u64,
}

impl Promises {
    pub(crate) fn new(overcommit: Overcommit) -> Arc<Self> {
        Arc::new(Self { overcommit, bytes: AtomicU64::new(0) })
    }

    /// Promises a machine its memory, if a host that has `memory_bytes` for machines has
    /// so much left to promise. One that cannot tell what it has refuses nothing.
    pub(crate) fn make(
        self: &Arc<Self>,
        shape: Shape,
        memory_bytes: Option<u64>,
    ) -> Option<Promise> {
        let limit = memory_bytes.map_or(u64::MAX, |memory| self.overcommit.of(memory));
        let bytes = most(shape);
        let more = |promised: u64| promised.checked_add(bytes).filter(|sum| *sum <= limit);
        let made = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        made.ok().map(|_| Promise { promises: Arc::clone(self), bytes })
    }

    /// The promise to a machine that runs already, whatever is left.
    pub(crate) fn keep(self: &Arc<Self>, shape: Shape) -> Promise {
        let bytes = most(shape);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Promise { promises: Arc::clone(self), bytes }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.promises.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The most that a machine of this shape takes: its control group holds it to that.
fn most(shape: Shape) -> u64 {
    shape.memory_bytes() + VMM_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    /// With what its VMM takes, 1 GiB.
    const HALF: Shape = Shape { cpu: 1, memory_mib: 512 };

    #[test]
    fn no_more_is_promised_than_the_factor_allows() {
        let promises = Promises::new("1.5".parse().unwrap());
        let make = || promises.make(HALF, Some(2 * GIB));
        let mut made: Vec<_> = std::iter::from_fn(make).collect();
        assert_eq!(made.len(), 3);
        // What goes makes room; what runs is kept, and counts.
        made.pop();
        let kept = promises.keep(HALF);
        assert!(make().is_none());
        drop(kept);
        assert!(make().is_some());
        drop(made);
        assert_eq!(promises.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_host_that_cannot_be_asked_refuses_nothing() {
        let promises = Promises::new(Overcommit::default());
        let made: Vec<_> = (0..1000).map_while(|_| promises.make(HALF, None)).collect();
        assert_eq!(made.len(), 1000);
    }

    #[test]
    fn a_factor_is_a_number_of_sense() {
        assert_eq!("10".parse(), Ok(Overcommit::default()));
        assert_eq!("1".parse::<Overcommit>().unwrap().of(7), 7);
        for bad in ["0.5", "101", "NaN", "inf", "-1", "many", ""] {
            assert!(bad.parse::<Overcommit>().is_err(), "{bad}");
        }
    }
}
