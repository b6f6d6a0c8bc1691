//! Whether this host is ready, each failing line with its fix.

use std::path::Path;

use pando_vm::cage;
use pando_vm::sys::cgroup::{self, Survey};
use pando_vm::sys::{command, host, reflink};

/// One thing that was looked at.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Check {
    /// What.
    pub name: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Fine.
    Ok,
    /// It works, with less than it could.
    Warning,
    /// It does not work.
    Failed,
}

fn ok(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Ok, found: found.into(), fix: None }
}

fn bad(
    name: &'static str,
    verdict: Verdict,
    found: impl Into<String>,
    fix: impl Into<String>,
) -> Check {
    Check { name, verdict, found: found.into(), fix: Some(fix.into()) }
}

/// The programs that are run, and the Debian package that brings each.
const PROGRAMS: [(&str, &str); 12] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mkfs.xfs", "xfsprogs"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("mmdebstrap", "mmdebstrap"),
    ("depmod", "kmod"),
    ("modprobe", "kmod"),
    ("mke2fs", "e2fsprogs"),
    ("dpkg-deb", "dpkg"),
    ("apt-get", "apt"),
    ("git", "git"),
    ("ldd", "libc-bin"),
];
/// Free memory below which a host holds few sandboxes, in bytes.
const COMFORTABLE_MEMORY_BYTES: u64 = 4 << 30;
/// Free disk that a template and some sandboxes need, in bytes.
const COMFORTABLE_DISK_BYTES: u64 = 10 << 30;

/// Looks at everything, in the order in which it is needed.
pub(crate) async fn run(data: &Path, first_uid: u32) -> Vec<Check> {
    let mut checks = vec![root(), architecture()];
    checks.extend(PROGRAMS.iter().map(|(program, package)| installed(program, package)));
    checks.push(qemu_version().await);
    checks.push(accelerator());
    checks.push(firewall().await);
    checks.push(kernel());
    checks.push(device("/dev/net/tun", "modprobe tun"));
    checks.push(control_groups());
    checks.push(users(first_uid));
    checks.push(agent());
    checks.push(memory());
    checks.push(disk(data));
    checks.push(reflinks(data));
    checks.push(templates(data));
    checks.push(resolver());
    checks
}

fn root() -> Check {
    if rustix::process::geteuid().is_root() {
        ok("root", "yes")
    } else {
        bad("root", Verdict::Failed, "no", "run it as root, or with sudo")
    }
}

fn architecture() -> Check {
    match std::env::consts::ARCH {
        "x86_64" => ok("processor", host::processor_model()),
        other => bad("processor", Verdict::Failed, other, "x86-64 is needed"),
    }
}

fn installed(program: &'static str, package: &str) -> Check {
    match host::find_program(program) {
        Some(path) => ok(program, path.display().to_string()),
        None => bad(
            program,
            Verdict::Failed,
            "not installed",
            format!("apt-get install {package} (or make setup)"),
        ),
    }
}

async fn qemu_version() -> Check {
    const NAME: &str = "QEMU version";
    let Ok(output) = command::run("qemu-system-x86_64", &["--version"], None).await else {
        return bad(NAME, Verdict::Failed, "none", "make setup");
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default();
    if line.contains("version 7.2") {
        ok(NAME, line)
    } else {
        bad(
            NAME,
            Verdict::Warning,
            line,
            "Pando is tested with Debian 12's QEMU 7.2: make setup installs it",
        )
    }
}

fn accelerator() -> Check {
    if host::has_kvm() {
        return ok("accelerator", "kvm");
    }
    let (why, fix) = if Path::new("/dev/kvm").exists() {
        (
            "/dev/kvm is there, but the processor shows no vmx or svm",
            "use a host with VT-x or AMD-V (nested virtualization on, for a virtual machine), or \
             --accel kvm with a --kernel that is made for this KVM",
        )
    } else {
        (
            "there is no /dev/kvm",
            "modprobe kvm_intel or kvm_amd, on a host with VT-x or AMD-V (nested virtualization \
             on, for a virtual machine)",
        )
    };
    let found = format!("tcg: {why}; guests run 5 to 20 times slower");
    bad("accelerator", Verdict::Warning, found, fix)
}

/// Whether the kernel has what the program `nft` speaks to, and lets us.
async fn firewall() -> Check {
    const NAME: &str = "firewall";
    match command::run("nft", &["list", "tables"], None).await {
        Ok(_) => ok(NAME, "nftables answers"),
        Err(error) => bad(
            NAME,
            Verdict::Failed,
            error.to_string(),
            "run it as root, on a kernel with nf_tables (modprobe nf_tables)",
        ),
    }
}

/// What a start would have to bake first. Where the pool is not mounted, nothing is seen.
fn templates(data: &Path) -> Check {
    const NAME: &str = "templates";
    let count =
        |folder: &str| std::fs::read_dir(data.join("pool").join(folder)).map_or(0, Iterator::count);
    match (count("machines"), data.join("pool.xfs").exists()) {
        (0, true) if count("templates") == 0 => {
            ok(NAME, "the pool is not mounted: the next start tells")
        }
        (0, _) => ok(NAME, "none is baked: the next start takes about two minutes to do it"),
        (machines, _) => ok(NAME, format!("{machines} baked, one for each size")),
    }
}

/// What the cage of a VMM stands on came last with this version: answering a
/// filtered call with a descriptor.
const OLDEST_KERNEL: (u32, u32) = (5, 14);

fn kernel() -> Check {
    const NAME: &str = "kernel";
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST_KERNEL {
        ok(NAME, release)
    } else {
        let (major, minor) = OLDEST_KERNEL;
        bad(NAME, Verdict::Failed, release, format!("Linux {major}.{minor} or later is needed"))
    }
}

/// Without them machines still run, each under its own user and with limits of
/// its own on threads, files and mapped memory.
fn control_groups() -> Check {
    const NAME: &str = "control groups";
    const UNLIMITED: &str = "machines are not limited in processor, memory and disk time";
    match cgroup::survey() {
        Survey::Usable { mount, missing } if missing.is_empty() => {
            ok(NAME, format!("all of them, in {}", mount.display()))
        }
        Survey::Usable { mount, missing } => {
            let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
            bad(
                NAME,
                Verdict::Warning,
                format!(
                    "{} has no {}: machines are not limited in these",
                    mount.display(),
                    missing.join(", ")
                ),
                "boot with systemd.unified_cgroup_hierarchy=1 (or cgroup_no_v1=all) on the \
                 kernel command line",
            )
        }
        Survey::ReadOnly(mount) => bad(
            NAME,
            Verdict::Warning,
            format!("{} cannot be written: {UNLIMITED}", mount.display()),
            "give this container a writable cgroup2 (docker: --cgroupns=private --privileged)",
        ),
        Survey::NotMounted => bad(
            NAME,
            Verdict::Warning,
            format!("no cgroup2 is mounted: {UNLIMITED}"),
            "mount -t cgroup2 none /sys/fs/cgroup",
        ),
    }
}

fn users(first: u32) -> Check {
    const NAME: &str = "users of machines";
    let found = format!("{first} to {}", first + (cage::UIDS - 1));
    if cage::ids_are_mapped(first) {
        ok(NAME, found)
    } else {
        bad(
            NAME,
            Verdict::Failed,
            format!("{found} are root's or not mapped in this user namespace"),
            "name a range of /proc/self/uid_map with --vm-uid-base",
        )
    }
}

fn device(path: &'static str, fix: &str) -> Check {
    if Path::new(path).exists() {
        ok(path, "there")
    } else {
        bad(path, Verdict::Failed, "missing", fix)
    }
}

fn agent() -> Check {
    match super::agent_path() {
        Ok(path) if path.is_file() => ok("guest agent", path.display().to_string()),
        Ok(path) => bad(
            "guest agent",
            Verdict::Failed,
            format!("{} is missing", path.display()),
            "make build",
        ),
        Err(error) => bad("guest agent", Verdict::Failed, error.to_string(), "make build"),
    }
}

fn memory() -> Check {
    let free = host::memory().map_or(0, |memory| memory.available_bytes);
    let found = format!("{} MiB available", free >> 20);
    if free >= COMFORTABLE_MEMORY_BYTES {
        ok("memory", found)
    } else {
        bad("memory", Verdict::Warning, found, "4 GiB or more are comfortable")
    }
}

fn disk(data: &Path) -> Check {
    let existing = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let free = host::free_disk_bytes(existing).unwrap_or(0);
    let found = format!("{} MiB free below {}", free >> 20, existing.display());
    if free >= COMFORTABLE_DISK_BYTES {
        ok("disk", found)
    } else {
        // A pool that is there goes on with less; a new one is not made.
        let verdict = match data.join("node.json").exists() {
            true => Verdict::Warning,
            false => Verdict::Failed,
        };
        bad("disk", verdict, found, "free 10 GiB, or name another folder with --data")
    }
}

fn reflinks(data: &Path) -> Check {
    const NAME: &str = "reflinks";
    match reflink::works_in(data) {
        Ok(true) => ok(NAME, "the data folder's own file system has them"),
        Ok(false) => ok(NAME, "by an XFS image in the data folder, mounted by loop device"),
        Err(_) => ok(NAME, "the data folder is made at the first start"),
    }
}

fn resolver() -> Check {
    match pando_vm::network::resolvers() {
        Ok(found) => {
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            ok("DNS for guests", found.join(", "))
        }
        Err(error) => bad(
            "DNS for guests",
            Verdict::Failed,
            error.to_string(),
            "name an IPv4 nameserver that is not loopback in /etc/resolv.conf",
        ),
    }
}
