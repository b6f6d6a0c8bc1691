//! Whether the host has memory and disk for one more machine.

use pando_vm::sys::host::Memory;

/// What a restored machine needs at once, in bytes: the VMM's own (under
/// translation mostly its code buffer) and the pages that a waking guest writes.
const MACHINE_BYTES: u64 = 128 << 20;
/// Memory that stays free at least, in bytes: for what running guests still
/// grow by, and for the host.
const MEMORY_RESERVE_BYTES: u64 = 768 << 20;
/// As a share of all memory, on larger hosts.
const MEMORY_RESERVE_SHARE: u64 = 16;
/// Disk that stays free at least, in bytes: sparse disks fill as guests write.
pub(crate) const DISK_RESERVE_BYTES: u64 = 2 << 30;
/// Where less of it is free, in bytes, what can be made anew goes before work is refused.
pub(crate) const SCARCE_DISK_BYTES: u64 = 3 << 30;

/// What a host has, as far as it can be told.
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// Its memory.
    pub memory: Option<Memory>,
    /// What the pool's disk can still take.
    pub free_disk_bytes: Option<u64>,
}

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    Memory,
    Disk,
}

/// Memory that is for machines, in bytes: all of it but what stays free.
pub(crate) fn for_machines(memory: Memory) -> u64 {
    memory.total_bytes.saturating_sub(reserve(memory))
}

fn reserve(memory: Memory) -> u64 {
    MEMORY_RESERVE_BYTES.max(memory.total_bytes / MEMORY_RESERVE_SHARE)
}

/// Whether one more machine can be made while `starting` others are, whose
/// memory is not taken yet.
pub(crate) fn check(host: Host, starting: usize) -> Result<(), Shortage> {
    if let Some(memory) = host.memory {
        let promised = MACHINE_BYTES.saturating_mul(starting as u64 + 1);
        if memory.available_bytes < reserve(memory).saturating_add(promised) {
            return Err(Shortage::Memory);
        }
    }
    if host.free_disk_bytes.is_some_and(|free| free < DISK_RESERVE_BYTES) {
        return Err(Shortage::Disk);
    }
    Ok(())
}

/// Whether the host's disk has so many bytes more than what stays free.
pub(crate) fn holds(host: Host, bytes: u64) -> bool {
    host.free_disk_bytes.is_none_or(|free| free >= DISK_RESERVE_BYTES.saturating_add(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn host(total: u64, available: u64, disk: u64) -> Host {
        let memory = Memory { total_bytes: total, available_bytes: available };
        Host { memory: Some(memory), free_disk_bytes: Some(disk) }
    }

    #[test]
    fn what_is_short_is_named() {
        assert_eq!(check(host(8 * GIB, 4 * GIB, 10 * GIB), 3), Ok(()));
        assert_eq!(check(host(8 * GIB, GIB / 2, 10 * GIB), 0), Err(Shortage::Memory));
        assert_eq!(check(host(64 * GIB, 4 * GIB, 10 * GIB), 0), Err(Shortage::Memory));
        assert_eq!(check(host(8 * GIB, 4 * GIB, GIB), 0), Err(Shortage::Disk));
    }

    #[test]
    fn those_being_made_count_before_they_took_their_memory() {
        let almost = host(8 * GIB, GIB, 10 * GIB);
        assert_eq!(check(almost, 0), Ok(()));
        assert_eq!(check(almost, 8), Err(Shortage::Memory));
    }

    #[test]
    fn a_host_that_cannot_be_asked_refuses_nothing() {
        let unknown = Host { memory: None, free_disk_bytes: None };
        assert_eq!(check(unknown, 100), Ok(()));
        assert!(holds(unknown, u64::MAX));
    }

    #[test]
    fn what_may_be_filled_must_be_free() {
        let host = host(8 * GIB, 4 * GIB, 10 * GIB);
        assert!(holds(host, 8 * GIB) && !holds(host, 8 * GIB + 1) && !holds(host, u64::MAX));
    }
}
