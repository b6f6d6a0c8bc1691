//! How much an org may have, and how fast it may ask: pure.

use std::time::Duration;

use crate::{Code, PublicError};

/// What an org may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Sandboxes that are not gone and do not sleep.
    pub sandboxes: u32,
    /// Their vCPUs together.
    pub vcpus: u32,
    /// Their memory together, in MiB.
    pub memory_mib: u32,
    /// Sandboxes that sleep: while there are more, none is made.
    pub sleeping: u32,
    /// The memory of those that sleep, in MiB, however much of it their images hold.
    pub sleeping_mib: u32,
    /// Sandboxes made within any 60 seconds.
    pub creates_per_minute: u32,
    /// Requests of one key in a second, over time; twice as many at once.
    pub requests_per_second: u32,
    /// Volumes.
    pub volumes: u32,
    /// Their sizes together, in MiB, however much is written to them.
    pub volume_mib: u32,
}

impl Default for Quota {
    /// More than one team ever needs: it keeps a runaway loop from the others.
    fn default() -> Self {
        Self {
            sandboxes: 500,
            vcpus: 2000,
            memory_mib: 1024 * 1024,
            sleeping: 2000,
            sleeping_mib: 4 * 1024 * 1024,
            creates_per_minute: 1200,
            requests_per_second: 500,
            volumes: 200,
            volume_mib: 1024 * 1024,
        }
    }
}

/// The span over which creates are counted.
pub const CREATES_SPAN: Duration = Duration::from_secs(60);
/// When a refused create is worth another try: something may have ended.
const RETRY_AFTER_SECS: u32 = 5;

/// What an org has of volumes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VolumeUsage {
    /// Volumes, whatever their state.
    pub volumes: u64,
    /// Their sizes together, in MiB.
    pub mib: u64,
}

/// What an org's sandboxes that do not sleep take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Awake {
    /// Sandboxes that are not gone.
    pub sandboxes: u64,
    /// The vCPUs of those that have a machine.
    pub vcpus: u64,
    /// Their memory, in MiB.
    pub memory_mib: u64,
}

/// What an org has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Those that do not sleep.
    pub awake: Awake,
    /// Sandboxes that sleep.
    pub sleeping: u64,
    /// Their memory, in MiB.
    pub sleeping_mib: u64,
    /// How long until one more may be made, where as many as may were made lately.
    pub create_wait: Option<Duration>,
}

impl Quota {
    /// Whether an org that has `usage` may have one more sandbox of this size.
    ///
    /// # Errors
    /// [`Code::OverQuota`], with what is used up and when to ask again.
    pub fn admit(&self, usage: &Usage, cpu: u32, memory_mib: u32) -> Result<(), PublicError> {
        if let Some(wait) = usage.create_wait {
            let secs = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            let message = format!(
                "the org made {} sandboxes within a minute: its quota",
                self.creates_per_minute
            );
            return Err(PublicError::new(Code::OverQuota, message).retry_after(secs));
        }
        // Falling asleep is never refused, so there may be more than the quota: then they
        // are not to become more still.
        let asleep = [
            ("sandboxes that sleep", usage.sleeping, self.sleeping),
            ("MiB of memory asleep", usage.sleeping_mib, self.sleeping_mib),
        ];
        for (what, used, most) in asleep {
            if used > u64::from(most) {
                let message =
                    format!("the org has {used} {what}, and its quota is {most}: none is made");
                return Err(over(message));
            }
        }
        self.admit_awake(&usage.awake, cpu, memory_mib)
    }

    /// Whether one more of this size may be awake: that is made, or that slept.
    ///
    /// # Errors
    /// [`Code::OverQuota`], with what is used up.
    pub fn admit_awake(&self, awake: &Awake, cpu: u32, memory_mib: u32) -> Result<(), PublicError> {
        let held = [
            ("sandboxes", awake.sandboxes, 1, self.sandboxes),
            ("vCPUs", awake.vcpus, cpu, self.vcpus),
            ("MiB of memory", awake.memory_mib, memory_mib, self.memory_mib),
        ];
        within("sandboxes use", &held).map_err(|error| {
            error.hint(
                "delete what is not needed, or put it to sleep; `pando org quota` on the server \
                 raises a quota",
            )
        })
    }

    /// Whether an org that has `usage` may have one more volume of this size.
    ///
    /// # Errors
    /// [`Code::OverQuota`], with what is used up.
    pub fn admit_volume(&self, usage: &VolumeUsage, size_mib: u32) -> Result<(), PublicError> {
        let held = [
            ("volumes", usage.volumes, 1, self.volumes),
            ("MiB of volumes", usage.mib, size_mib, self.volume_mib),
        ];
        within("volumes are", &held)
    }
}

/// Whether what is wanted of each kind fits: its name, how much is used, is wanted, may be.
fn within(held_by: &str, kinds: &[(&str, u64, u32, u32)]) -> Result<(), PublicError> {
    for (what, used, wanted, most) in kinds {
        if used.saturating_add(u64::from(*wanted)) > u64::from(*most) {
            let message = format!(
                "the org's {held_by} {used} of {most} {what}; {wanted} more are over its quota"
            );
            return Err(over(message));
        }
    }
    Ok(())
}

fn over(message: String) -> PublicError {
    PublicError::new(Code::OverQuota, message)
        .hint("delete what is not needed; `pando org quota` on the server raises a quota")
        .retry_after(RETRY_AFTER_SECS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_fits_and_the_next_does_not() {
        let quota = Quota { sandboxes: 3, vcpus: 8, memory_mib: 4096, ..Quota::default() };
        let awake = Awake { sandboxes: 2, vcpus: 6, memory_mib: 2048 };
        let usage = Usage { awake, ..Usage::default() };
        assert_eq!(quota.admit(&usage, 2, 2048), Ok(()));
        assert_eq!(quota.admit_awake(&awake, 2, 2048), Ok(()));
        let full = Awake { sandboxes: 3, ..Awake::default() };
        let wait = Some(Duration::from_millis(1500));
        for (usage, cpu, memory) in [
            (Usage { awake: full, ..Usage::default() }, 1, 512),
            (usage, 3, 512),
            (usage, 1, 2304),
            (Usage { create_wait: wait, ..Usage::default() }, 1, 512),
        ] {
            let refused = quota.admit(&usage, cpu, memory).unwrap_err();
            assert_eq!(refused.code, Code::OverQuota);
            assert!(refused.retry_after_secs.is_some_and(|secs| secs > 0));
        }
    }

    #[test]
    fn sleepers_take_no_place_until_there_are_too_many() {
        let quota = Quota { sandboxes: 1, sleeping: 7, sleeping_mib: 4096, ..Quota::default() };
        let usage = Usage { sleeping: 7, sleeping_mib: 4096, ..Usage::default() };
        assert_eq!(quota.admit(&usage, 1, 512), Ok(()));
        for usage in [Usage { sleeping: 8, ..usage }, Usage { sleeping_mib: 4097, ..usage }] {
            assert_eq!(quota.admit(&usage, 1, 512).unwrap_err().code, Code::OverQuota);
            // Those that are there may wake.
            assert_eq!(quota.admit_awake(&usage.awake, 1, 512), Ok(()));
        }
    }

    #[test]
    fn the_last_volume_fits_and_the_next_does_not() {
        let quota = Quota { volumes: 2, volume_mib: 1024, ..Quota::default() };
        let usage = VolumeUsage { volumes: 1, mib: 512 };
        assert_eq!(quota.admit_volume(&usage, 512), Ok(()));
        for (usage, size_mib) in [(usage, 513), (VolumeUsage { volumes: 2, mib: 0 }, 16)] {
            let refused = quota.admit_volume(&usage, size_mib).unwrap_err();
            assert_eq!(refused.code, Code::OverQuota);
        }
    }

    #[test]
    fn a_quota_of_nothing_admits_nothing() {
        let quota = Quota { sandboxes: 0, ..Quota::default() };
        assert!(quota.admit(&Usage::default(), 1, 512).is_err());
    }
}
