//! Which program has a socket open, from `/proc/PID/fd` (`proc(5)`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::sys::proc_stat;

/// The descriptors that are looked at: programs may have any number.
const MAX_DESCRIPTORS: usize = 65_536;

/// The names of the programs that have these sockets, by the sockets' inodes; of some there may
/// be none.
pub fn owners(sockets: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    let mut owners = BTreeMap::new();
    let descriptors = proc_stat::pids().flat_map(|pid| {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        entries.map(move |entry| (pid, entry))
    });
    for (pid, descriptor) in descriptors.take(MAX_DESCRIPTORS) {
        if owners.len() == sockets.len() {
            break;
        }
        let socket = fs::read_link(descriptor.path()).ok().and_then(|target| inode(&target));
        if let Some(socket) = socket.filter(|socket| sockets.contains(socket))
            && let Some(process) = proc_stat::of(pid)
        {
            owners.entry(socket).or_insert(process.name);
        }
    }
    owners
}

/// `socket:[12345]`
fn inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}
