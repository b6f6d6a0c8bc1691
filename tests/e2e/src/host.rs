//! Looking at this host, as an operator would.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Begins the name of every link, namespace and table of a test's server.
pub(crate) const PREFIX: &str = "pt";

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

/// What of a test's server is still on this host: nothing, after it was torn down.
///
/// # Errors
/// When the host cannot be looked at.
pub fn leftovers(data: &Path) -> anyhow::Result<Vec<String>> {
    let data = data.display().to_string();
    let mut left = Vec::new();
    let mut keep = |what: &str, lines: String, ours: &dyn Fn(&str) -> bool| {
        left.extend(lines.lines().filter(|line| ours(line)).map(|line| format!("{what}: {line}")));
    };
    keep("process", run("ps", &["-eo", "pid,args"])?, &|line| {
        line.contains("qemu-system") && line.contains(&data)
    });
    keep("namespace", run("ip", &["netns", "list"])?, &|line| line.starts_with(PREFIX));
    keep("link", run("ip", &["-br", "link"])?, &|line| line.starts_with(PREFIX));
    keep("table", run("nft", &["list", "tables"])?, &|line| line.contains(&format!(" {PREFIX}")));
    keep("mount", std::fs::read_to_string("/proc/mounts")?, &|line| line.contains(&data));
    keep("loop device", run("losetup", &["-a"])?, &|line| line.contains(&data));
    Ok(left)
}
