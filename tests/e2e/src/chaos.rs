//! Killing what runs, and looking for what nobody knows of.

use anyhow::Context;
use serde_json::Value;

use crate::host::run;
use crate::server::Server;

/// A small random generator whose seed repeats a run (SplitMix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// One that starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Kills a process of this test by its id; fine when it is gone.
///
/// # Errors
/// When it may not be killed.
pub fn kill(pid: u32) -> anyhow::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).context("no pid")?;
    match rustix::process::kill_process(pid, rustix::process::Signal::KILL) {
        Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// This server's machines: what each runs, and its VMM's process id.
///
/// # Errors
/// When the host cannot be looked at.
pub fn machines(server: &Server) -> anyhow::Result<Vec<(String, u32)>> {
    let node: Value = serde_json::from_slice(&std::fs::read(server.data().join("node.json"))?)?;
    let owner = format!("pando:{}:", node["id"].as_str().context("no node id")?);
    let processes = run("ps", &["-eo", "pid,args"])?;
    let machine = |line: &str| {
        let machine = line.split_whitespace().find_map(|word| word.strip_prefix(&owner))?;
        let pid = line.split_whitespace().next()?.parse().ok()?;
        Some((machine.split(',').next()?.to_owned(), pid))
    };
    Ok(processes.lines().filter_map(machine).collect())
}

/// Kills the VMM of one of the server's machines; returns which, unless there is none.
///
/// # Errors
/// When it cannot be killed.
pub fn kill_a_machine(server: &Server, random: &mut Random) -> anyhow::Result<Option<String>> {
    let machines = machines(server)?;
    if machines.is_empty() {
        return Ok(None);
    }
    let index = usize::try_from(random.below(machines.len() as u64))?;
    let (machine, pid) = &machines[index];
    kill(*pid)?;
    Ok(Some(machine.clone()))
}

/// What this host holds of the server's beside the sandboxes that are `known`.
///
/// # Errors
/// When the host cannot be looked at.
pub fn orphans(server: &Server, known: &[String]) -> anyhow::Result<Vec<String>> {
    let mut orphans: Vec<String> = machines(server)?
        .into_iter()
        .filter(|(machine, _)| !known.contains(machine))
        .map(|(machine, _)| format!("machine {machine}"))
        .collect();
    for (folder, may_hold_known) in [("pool/sandboxes", true), ("pool/staging", false)] {
        for entry in std::fs::read_dir(server.data().join(folder))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !(may_hold_known && known.contains(&name)) {
                orphans.push(format!("{folder}/{name}"));
            }
        }
    }
    Ok(orphans)
}
