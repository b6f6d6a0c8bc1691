//! What this host's processor is.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Whether hardware virtualization can be used: `/dev/kvm` opens **and** the
/// processor shows `vmx` or `svm`. A paravirtual KVM (a guest's guest) opens too,
/// but does not boot a stock kernel; an operator who has a fitting one says so.
#[must_use]
pub fn has_kvm() -> bool {
    let opens = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    opens && flags_show_virtualization(&information)
}

fn flags_show_virtualization(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .flat_map(str::split_whitespace)
        .any(|flag| flag == "vmx" || flag == "svm")
}

/// The processor's name, as part of what a saved device state depends on.
#[must_use]
pub fn processor_model() -> String {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(
        || "unknown".into(),
        |line| line.trim_start_matches([' ', '\t', ':']).to_owned(),
    )
}

/// The rate of the time-stamp counter in kHz, measured over `span` against the
/// monotonic clock. A guest that is told it skips a calibration that fails on a
/// busy host.
#[must_use]
pub fn tsc_khz(span: Duration) -> u64 {
    let (start, first) = (Instant::now(), timestamp_counter());
    std::thread::sleep(span);
    let (elapsed, last) = (start.elapsed(), timestamp_counter());
    let micros = elapsed.as_micros().max(1);
    u64::try_from(u128::from(last.wrapping_sub(first)) * 1000 / micros).unwrap_or(0)
}

#[cfg(target_arch = "x86_64")]
fn timestamp_counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and it touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Where a program is, by PATH and where administrators' programs are.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    dirs.map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// This host's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// All of it (`MemTotal`).
    pub total_bytes: u64,
    /// What can be used without swapping (`MemAvailable`).
    pub available_bytes: u64,
}

/// What `/proc/meminfo` says (`proc(5)`); `None` where it cannot be read.
#[must_use]
pub fn memory() -> Option<Memory> {
    let information = fs::read_to_string("/proc/meminfo").ok()?;
    let bytes = |name: &str| {
        let line = information.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
    };
    Some(Memory { total_bytes: bytes("MemTotal:")?, available_bytes: bytes("MemAvailable:")? })
}

/// Space that can be used in the file system of `path`, in bytes.
#[must_use]
pub fn free_disk_bytes(path: &std::path::Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kvm_needs_a_processor_flag() {
        assert!(flags_show_virtualization("flags\t\t: fpu vme svm\n"));
        assert!(!flags_show_virtualization("flags\t\t: fpu hypervisor\nvmx flags : svm\n"));
    }
}
