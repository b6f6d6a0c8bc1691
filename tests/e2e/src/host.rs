//! Looking at this host, as an operator would.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Begins the name of every link, namespace and table of a test's server. Set
/// otherwise (`PANDO_TEST_PREFIX`), a second run finds room beside the first.
#[must_use]
pub fn prefix() -> String {
    std::env::var("PANDO_TEST_PREFIX").unwrap_or_else(|_| "pt".to_owned())
}

/// The pool of addresses that a test's server takes (`PANDO_TEST_POOL`).
#[must_use]
pub fn pool() -> Ipv4Addr {
    let set = std::env::var("PANDO_TEST_POOL").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(Ipv4Addr::new(10, 214, 0, 0))
}

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// When it cannot be run or fails.
pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What stands in the arguments of a server's VMMs.
fn owner(data: &Path) -> anyhow::Result<String> {
    let file = std::fs::read_to_string(data.join("node.json"))?;
    let file: serde_json::Value = serde_json::from_str(&file)?;
    Ok(format!("pando:{}:", file["id"].as_str().context("no node id")?))
}

/// The process id of a sandbox's VMM.
///
/// # Errors
/// When there is none.
pub fn vmm_of(sandbox: &str) -> anyhow::Result<u32> {
    let processes = run("ps", &["-eo", "pid,args"])?;
    let wanted = |line: &&str| line.contains("qemu-system") && line.contains(sandbox);
    let line = processes.lines().find(wanted).context("no VMM runs for the sandbox")?;
    let pid = line.split_whitespace().next().context("an empty line")?;
    Ok(pid.parse()?)
}

/// What of a test's server is still on this host: nothing, after it was torn down.
///
/// # Errors
/// When the host cannot be looked at.
pub fn leftovers(data: &Path) -> anyhow::Result<Vec<String>> {
    let owner = owner(data)?;
    // With its slash: another folder's name may begin with this one's.
    let data = format!("{}/", data.display());
    let prefix = prefix();
    let mut left = Vec::new();
    let mut keep = |what: &str, lines: String, ours: &dyn Fn(&str) -> bool| {
        left.extend(lines.lines().filter(|line| ours(line)).map(|line| format!("{what}: {line}")));
    };
    keep("process", run("ps", &["-eo", "pid,args"])?, &|line| {
        line.contains("qemu-system") && line.contains(&owner)
    });
    keep("namespace", run("ip", &["netns", "list"])?, &|line| line.starts_with(&prefix));
    keep("link", run("ip", &["-br", "link"])?, &|line| line.starts_with(&prefix));
    keep("table", run("nft", &["list", "tables"])?, &|line| line.contains(&format!(" {prefix}")));
    keep("mount", std::fs::read_to_string("/proc/mounts")?, &|line| line.contains(&data));
    keep("loop device", run("losetup", &["-a"])?, &|line| line.contains(&data));
    let groups = run("find", &["/sys/fs/cgroup", "-maxdepth", "2", "-type", "d"])?;
    keep("control group", groups, &|line| line.ends_with(&format!("/{prefix}-machines")));
    Ok(left)
}
