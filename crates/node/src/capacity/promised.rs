//! How much memory the machines of this host may take together: a guest takes little
//! at first and may grow to all that it was told it has. And what those of each org have,
//! for one that wakes.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pando_types::quota::{Awake, Quota};
use pando_types::{OrgId, PublicError};
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
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    bytes: u64,
    /// What the machines of each org have.
    orgs: HashMap<OrgId, Awake>,
}

/// What one machine may take; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Promise {
    promises: Arc<Promises>,
    org: Option<OrgId>,
    shape: Shape,
}

/// Why nothing was promised.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPromised {
    /// The host has no more.
    #[error("too much memory is promised to other machines")]
    Memory,
    /// The org may have no more.
    #[error("{0}")]
    Quota(PublicError),
}

impl Promises {
    pub(crate) fn new(overcommit: Overcommit) -> Arc<Self> {
        Arc::new(Self { overcommit, made: Mutex::default() })
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Promises a machine of `org` its memory, if a host that has `memory_bytes` for
    /// machines has so much left to promise, and the org may have it. A host that cannot
    /// tell what it has refuses nothing.
    pub(crate) fn make(
        self: &Arc<Self>,
        (org, shape): (Option<OrgId>, Shape),
        memory_bytes: Option<u64>,
        quota: Option<&Quota>,
    ) -> Result<Promise, NotPromised> {
        let limit = memory_bytes.map_or(u64::MAX, |memory| self.overcommit.of(memory));
        let mut made = self.made();
        if let (Some(org), Some(quota)) = (org, quota) {
            let awake = made.orgs.get(&org).copied().unwrap_or_default();
            quota.admit_awake(&awake, shape.cpu, shape.memory_mib).map_err(NotPromised::Quota)?;
        }
        if made.bytes.checked_add(most(shape)).is_none_or(|sum| sum > limit) {
            return Err(NotPromised::Memory);
        }
        made.add(org, shape);
        drop(made);
        Ok(Promise { promises: Arc::clone(self), org, shape })
    }

    /// The promise to a machine that runs already, whatever is left.
    pub(crate) fn keep(self: &Arc<Self>, org: Option<OrgId>, shape: Shape) -> Promise {
        self.made().add(org, shape);
        Promise { promises: Arc::clone(self), org, shape }
    }
}

impl Made {
    fn add(&mut self, org: Option<OrgId>, shape: Shape) {
        self.bytes = self.bytes.saturating_add(most(shape));
        if let Some(org) = org {
            let awake = self.orgs.entry(org).or_default();
            awake.sandboxes += 1;
            awake.vcpus += u64::from(shape.cpu);
            awake.memory_mib += u64::from(shape.memory_mib);
        }
    }

    fn remove(&mut self, org: Option<OrgId>, shape: Shape) {
        self.bytes = self.bytes.saturating_sub(most(shape));
        if let Some(org) = org
            && let Some(awake) = self.orgs.get_mut(&org)
        {
            awake.sandboxes -= 1;
            awake.vcpus -= u64::from(shape.cpu);
            awake.memory_mib -= u64::from(shape.memory_mib);
            if awake.sandboxes == 0 {
                self.orgs.remove(&org);
            }
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.promises.made().remove(self.org, self.shape);
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
        let make = || promises.make((None, HALF), Some(2 * GIB), None);
        let mut made: Vec<_> = std::iter::from_fn(|| make().ok()).collect();
        assert_eq!(made.len(), 3);
        // What goes makes room; what runs is kept, and counts.
        made.pop();
        let kept = promises.keep(None, HALF);
        assert_eq!(make().unwrap_err(), NotPromised::Memory);
        drop(kept);
        assert!(make().is_ok());
        drop(made);
        assert_eq!(promises.made().bytes, 0);
    }

    #[test]
    fn an_org_has_no_more_awake_than_its_quota_and_takes_none_of_anothers() {
        let promises = Promises::new(Overcommit::default());
        let quota = Quota { vcpus: 2, ..Quota::default() };
        let (one, other) = (OrgId::new(), OrgId::new());
        let make = |org| promises.make((Some(org), HALF), None, Some(&quota));
        // What was made before its quota shrank counts.
        let kept = promises.keep(Some(one), HALF);
        let made = make(one).unwrap();
        let refused = make(one).unwrap_err();
        assert!(
            matches!(&refused, NotPromised::Quota(error) if error.message.contains("2 of 2 vCPUs"))
        );
        let others = [make(other).unwrap(), make(other).unwrap()];
        drop(made);
        drop(make(one).unwrap());
        drop((kept, others));
        let made = promises.made();
        assert_eq!((made.bytes, made.orgs.len()), (0, 0));
    }

    #[test]
    fn a_host_that_cannot_be_asked_refuses_nothing() {
        let promises = Promises::new(Overcommit::default());
        let made: Vec<_> =
            (0..1000).map_while(|_| promises.make((None, HALF), None, None).ok()).collect();
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
