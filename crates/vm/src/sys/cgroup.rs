//! Control groups, version 2 (Documentation/admin-guide/cgroup-v2.rst of the
//! kernel), by writes to their files.
//!
//! A server's machines live below one group of its own at the top of the
//! hierarchy, beside what systemd runs: so they neither share the server's limits
//! nor go with its unit. A host may lack the hierarchy, or some controllers in
//! it; then there is that much less, and [`survey`] says so.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a group whose processes are ending is tried to be removed.
const REMOVE_TRIES: u32 = 100;
/// How long between two tries.
const REMOVE_PAUSE: Duration = Duration::from_millis(10);

/// What limits one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Processes and threads.
    Pids,
    /// Disk time.
    Io,
}

impl Controller {
    /// All that are used.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Pids, Self::Io];
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Io => "io",
        })
    }
}

/// What a host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Survey {
    /// No version 2 hierarchy is mounted.
    NotMounted,
    /// It is mounted, and cannot be written.
    ReadOnly(PathBuf),
    /// It can be used, save for these controllers.
    Usable {
        /// Where it is mounted.
        mount: PathBuf,
        /// What is not in it.
        missing: Vec<Controller>,
    },
}

/// Looks at this host.
#[must_use]
pub fn survey() -> Survey {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some(mount) = mount_point(&mounts) else { return Survey::NotMounted };
    if rustix::fs::access(&mount, rustix::fs::Access::WRITE_OK).is_err() {
        return Survey::ReadOnly(mount);
    }
    let present = words(&mount.join("cgroup.controllers"));
    let missing = Controller::ALL.into_iter().filter(|one| !present.contains(&one.to_string()));
    Survey::Usable { missing: missing.collect(), mount }
}

/// Where the hierarchy is, by proc_pid_mountinfo(5).
fn mount_point(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        right.starts_with("cgroup2 ").then(|| left.split(' ').nth(4).map(PathBuf::from))?
    })
}

fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// What one machine may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Processors' worth of time.
    pub cpus: u32,
    /// Memory in bytes; there is no swap.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub threads: u32,
}

/// The accounting period of `cpu.max`, in microseconds (the kernel's default).
const PERIOD_US: u64 = 100_000;
/// All machines are alike: the default of `cpu.weight` and `io.weight`.
const WEIGHT: &str = "100";

impl Limits {
    /// Files and what is written into them, per controller. What not every kernel
    /// has is marked so.
    fn files(&self, controller: Controller) -> Vec<(&'static str, String, Presence)> {
        use Presence::{Always, Sometimes};
        match controller {
            Controller::Cpu => vec![
                ("cpu.max", format!("{} {PERIOD_US}", u64::from(self.cpus) * PERIOD_US), Always),
                ("cpu.weight", WEIGHT.into(), Always),
            ],
            Controller::Memory => vec![
                ("memory.max", self.memory_bytes.to_string(), Always),
                ("memory.swap.max", "0".into(), Sometimes),
                ("memory.oom.group", "1".into(), Sometimes),
            ],
            Controller::Pids => vec![("pids.max", self.threads.to_string(), Always)],
            // Only some of the kernel's disk schedulers know weights.
            Controller::Io => vec![("io.weight", format!("default {WEIGHT}"), Sometimes)],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Always,
    Sometimes,
}

/// The group that holds a server's machines. When the last server lets go of it
/// and no machine is left, it is removed.
#[derive(Debug)]
pub struct Groups {
    /// Where the hierarchy is mounted.
    mount: PathBuf,
    path: PathBuf,
    controllers: Vec<Controller>,
}

impl Groups {
    /// Makes the group of that name, or takes over what an earlier server made,
    /// without the groups in it that are empty. None where this host has no usable hierarchy.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn prepare(name: &str) -> io::Result<Option<Self>> {
        let Survey::Usable { mount, .. } = survey() else { return Ok(None) };
        let path = mount.join(name);
        make(&path)?;
        let mut controllers = Vec::new();
        for controller in Controller::ALL {
            // In a container the top may hold processes, and then gives no controllers on.
            let passed_on = |group: &Path| {
                fs::write(group.join("cgroup.subtree_control"), format!("+{controller}"))
            };
            if passed_on(&mount).and_then(|()| passed_on(&path)).is_ok() {
                controllers.push(controller);
            }
        }
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                // Those of machines that run are not empty, and stay.
                let _ = fs::remove_dir(entry.path());
            }
        }
        Ok(Some(Self { mount, path, controllers }))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The controllers that limit machines.
    #[must_use]
    pub fn controllers(&self) -> &[Controller] {
        &self.controllers
    }

    /// Makes a group for one machine, in place of an empty one that was left over.
    ///
    /// # Errors
    /// What the kernel said; no group is then left.
    pub fn create(&self, name: &str, limits: &Limits) -> io::Result<Group> {
        let path = self.path.join(name);
        match fs::remove_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => make(&path)?,
        }
        let filled = self.fill(&path, limits);
        let opened = filled.and_then(|()| File::open(&path));
        let folder = opened.inspect_err(|_| {
            let _ = fs::remove_dir(&path);
        })?;
        Ok(Group { path, folder })
    }

    fn fill(&self, path: &Path, limits: &Limits) -> io::Result<()> {
        for controller in &self.controllers {
            for (file, text, presence) in limits.files(*controller) {
                match fs::write(path.join(file), text) {
                    Err(error)
                        if presence == Presence::Sometimes
                            && error.kind() == io::ErrorKind::NotFound => {}
                    other => other?,
                }
            }
        }
        Ok(())
    }

    /// Every process in the groups in it, beside the name of its group.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn processes(&self) -> io::Result<Vec<(String, u32)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(group) = entry.file_name().into_string() else { continue };
            if entry.file_type()?.is_dir() {
                // It may be removed while we look: then nothing is in it.
                let inside = words(&entry.path().join("cgroup.procs"));
                let pids = inside.iter().filter_map(|pid| pid.parse().ok());
                found.extend(pids.map(|pid| (group.clone(), pid)));
            }
        }
        Ok(found)
    }

    /// The group of ours that a process is in.
    #[must_use]
    pub fn of_process(&self, pid: u32) -> Option<PathBuf> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let inside = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let path = self.mount.join(inside);
        (path.parent() == Some(&*self.path)).then_some(path)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        // While a machine runs on, it stays: the next server finds it.
        let _ = fs::remove_dir(&self.path);
    }
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// One machine's group.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    folder: File,
}

impl Group {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

/// Removes a group whose processes have ended or are about to; fine when it is gone.
///
/// # Errors
/// What the kernel said; `EBUSY` when something in it does not end.
pub async fn remove(path: &Path) -> io::Result<()> {
    for _ in 1..REMOVE_TRIES {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                tokio::time::sleep(REMOVE_PAUSE).await;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => return other,
        }
    }
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found_among_others() {
        let mounts = "24 1 0:21 / /proc rw - proc proc rw\n\
            30 24 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
            31 24 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(mounts), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount_point("24 1 0:21 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let limits = Limits { cpus: 3, memory_bytes: 1 << 30, threads: 99 };
        let all: Vec<_> = Controller::ALL.iter().flat_map(|one| limits.files(*one)).collect();
        let text = |file| all.iter().find(|(name, ..)| *name == file).map(|(_, text, _)| &**text);
        assert_eq!(text("cpu.max"), Some("300000 100000"));
        assert_eq!(text("memory.max"), Some("1073741824"));
        assert_eq!(text("memory.swap.max"), Some("0"));
        assert_eq!(text("pids.max"), Some("99"));
        assert_eq!(text("io.weight"), Some("default 100"));
    }

    /// For real, as far as this host has controllers; needs root.
    #[tokio::test]
    async fn a_group_holds_its_limits_and_goes_when_it_is_let_go() {
        let Some(groups) = Groups::prepare("vmgroup").unwrap() else { return };
        let limits = Limits { cpus: 2, memory_bytes: 64 << 20, threads: 20 };
        let group = groups.create("one", &limits).unwrap();
        for controller in groups.controllers() {
            for (file, text, presence) in limits.files(*controller) {
                let Ok(found) = fs::read_to_string(group.path().join(file)) else {
                    assert_eq!(presence, Presence::Sometimes, "{file} is missing");
                    continue;
                };
                assert_eq!(found.trim(), text, "{file}");
            }
        }
        // What a killed server left is taken over; what runs in it would stay.
        let again = groups.create("one", &limits).unwrap();
        remove(again.path()).await.unwrap();
        remove(again.path()).await.unwrap();
        let path = groups.path().to_owned();
        groups.create("left", &limits).unwrap();
        let groups_again = Groups::prepare("vmgroup").unwrap().unwrap();
        drop((groups, groups_again));
        assert!(!path.exists(), "the group stays");
    }
}
