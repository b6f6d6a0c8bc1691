//! The empty room: what a guest that has taken over its VMM finds.
//!
//! A thread of this test goes where the VMM is, as who it is, and tries. It even
//! lacks the VMM's system call filter, so what it cannot do does not rest on that.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use pando_e2e::{Options, Server, vmm_of};
use reqwest::Method;
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, move_into_link_name_space, set_capabilities,
    set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid, unshare_unsafe,
};
use serde_json::{Value, json};

/// Every folder that a VMM sees.
const FOLDERS: [&str; 13] = [
    "/",
    "/boot",
    "/dev",
    "/lib",
    "/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/qemu",
    "/usr/share",
    "/usr/share/qemu",
];
/// Every file in them that is no library.
const FILES: [&str; 6] = [
    "/dev/null",
    "/dev/urandom",
    "/usr/bin/qemu-system-x86_64",
    "/usr/share/qemu/bios-microvm.bin",
    "/usr/share/qemu/linuxboot_dma.bin",
    "/usr/share/qemu/pvh.bin",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_vmm_finds_an_empty_room() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let (one, two) = tokio::try_join!(server.sandbox(json!({})), server.sandbox(json!({})))?;
    let (first, second) = (Vmm::of(&one.id)?, Vmm::of(&two.id)?);
    // Its memory has a layer over that of the template.
    let fork = server.request(Method::POST, &one.path("/fork")).json(&json!({}));
    let fork: Value = fork.send().await?.error_for_status()?.json().await?;
    let third = Vmm::of(fork["id"].as_str().context("no id")?)?;
    assert!(third.maps("memory-1")? && !first.maps("memory-1")?);
    for vmm in [&first, &second, &third] {
        vmm.is_nobody()?;
        vmm.is_apart()?;
        vmm.is_limited()?;
        vmm.holds_only_its_own(server.data())?;
    }
    assert_ne!(first.user()?, second.user()?, "two VMMs are one user");
    assert_ne!(first.namespace("pid")?, second.namespace("pid")?, "two VMMs see each other");
    let host = Host::around(&server, &two.id)?;
    let found = first.inside(|| Found::look(&host))?;
    assert_eq!(found.folders, FOLDERS.iter().map(PathBuf::from).collect());
    let mut files = found.files;
    files.retain(|path| !is_library(path));
    // There only where guests run by it.
    files.remove(Path::new("/dev/kvm"));
    assert_eq!(files, FILES.iter().map(PathBuf::from).collect());
    // Only what swallows or makes up bytes can be written.
    assert!(found.writable.iter().all(|path| path.starts_with("/dev")), "{:?}", found.writable);
    assert_eq!(found.made, [] as [PathBuf; 0], "files can be made");
    assert_eq!(found.reached, [] as [String; 0], "something answers");
    server.finish()
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains(".so")
}

/// What is around a VMM, for it to try.
struct Host {
    addresses: Vec<SocketAddr>,
    sockets: Vec<PathBuf>,
    files: Vec<PathBuf>,
    /// In this test's network namespace.
    abstract_name: &'static [u8],
    _listener: UnixListener,
    server: u32,
}

impl Host {
    fn around(server: &Server, neighbour: &str) -> anyhow::Result<Self> {
        let api = server.url("").rsplit(':').next().and_then(|port| port.parse().ok());
        let api: u16 = api.context("no port")?;
        let home = server.data().join("pool/sandboxes").join(neighbour);
        let abstract_name = b"pando-test-empty-room";
        let listener = UnixListener::bind_addr(&UnixAddress::from_abstract_name(abstract_name)?)?;
        Ok(Self {
            addresses: vec![
                SocketAddr::from(([127, 0, 0, 1], api)),
                SocketAddr::from(([172, 16, 0, 2], 1)),
                SocketAddr::from(([169, 254, 169, 254], 80)),
                SocketAddr::from(([1, 1, 1, 1], 443)),
            ],
            sockets: vec![
                home.join("monitor.sock"),
                home.join("control.sock"),
                "/run/docker.sock".into(),
            ],
            files: vec![
                home.join("root.raw"),
                home.join("manifest.json"),
                server.data().join("pando.db"),
                server.data().join("secret.key"),
                "/etc/passwd".into(),
                "/proc/self/status".into(),
                "/sys/kernel".into(),
                "/dev/net/tun".into(),
                "/memory".into(),
            ],
            abstract_name,
            _listener: listener,
            server: server.pid().context("the server does not run")?,
        })
    }
}

/// What somebody in the room finds.
#[derive(Default)]
struct Found {
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
    writable: Vec<PathBuf>,
    made: Vec<PathBuf>,
    reached: Vec<String>,
}

impl Found {
    fn look(host: &Host) -> io::Result<Self> {
        let mut found = Self::default();
        found.walk(Path::new("/"))?;
        for path in &host.files {
            if File::open(path).is_ok() {
                found.reached.push(path.display().to_string());
            }
        }
        for address in &host.addresses {
            if TcpStream::connect_timeout(address, Duration::from_secs(2)).is_ok() {
                found.reached.push(format!("tcp {address}"));
            }
            let sent =
                UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"x", address));
            if sent.is_ok() {
                found.reached.push(format!("udp {address}"));
            }
        }
        for path in &host.sockets {
            if UnixStream::connect(path).is_ok() {
                found.reached.push(path.display().to_string());
            }
        }
        let name = UnixAddress::from_abstract_name(host.abstract_name)?;
        if UnixStream::connect_addr(&name).is_ok() {
            found.reached.push("an abstract socket of the host".into());
        }
        // Whom it may signal it may kill; signal 0 only asks.
        let server = i32::try_from(host.server).ok().and_then(rustix::process::Pid::from_raw);
        if server.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok()) {
            found.reached.push("the server's process".into());
        }
        Ok(found)
    }

    fn walk(&mut self, dir: &Path) -> io::Result<()> {
        self.folders.insert(dir.to_owned());
        let new = dir.join("new");
        if File::create(&new).is_ok() || fs::create_dir(&new).is_ok() {
            self.made.push(new);
        }
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                self.walk(&path)?;
                continue;
            }
            let writing = File::options().write(true).open(&path);
            if writing.is_ok() || kind.is_socket() || kind.is_fifo() {
                self.writable.push(path.clone());
            }
            self.files.insert(path);
        }
        Ok(())
    }
}

/// A VMM, seen from the host.
struct Vmm {
    pid: u32,
    sandbox: String,
}

impl Vmm {
    fn of(sandbox: &str) -> anyhow::Result<Self> {
        Ok(Self { pid: vmm_of(sandbox)?, sandbox: sandbox.to_owned() })
    }

    fn path(&self, rest: &str) -> PathBuf {
        format!("/proc/{}/{rest}", self.pid).into()
    }

    fn status(&self, field: &str) -> anyhow::Result<String> {
        let text = fs::read_to_string(self.path("status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(line.with_context(|| format!("no {field}"))?.trim().to_owned())
    }

    fn user(&self) -> anyhow::Result<u32> {
        let ids = self.status("Uid")?;
        Ok(ids.split_whitespace().next().context("no user")?.parse()?)
    }

    fn namespace(&self, kind: &str) -> anyhow::Result<PathBuf> {
        Ok(fs::read_link(self.path(&format!("ns/{kind}")))?)
    }

    fn maps(&self, file: &str) -> anyhow::Result<bool> {
        let maps = fs::read_to_string(self.path("maps"))?;
        Ok(maps.lines().any(|line| line.ends_with(&format!("/{file}"))))
    }

    fn is_nobody(&self) -> anyhow::Result<()> {
        let user = self.user()?;
        assert!(user >= 1_900_000_000, "{user}");
        let four_times = vec![user.to_string(); 4].join("\t");
        assert_eq!(self.status("Uid")?, four_times);
        assert_eq!(self.status("Gid")?, four_times);
        assert_eq!(self.status("Groups")?, "");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(self.status(set)?, "0000000000000000", "{set}");
        }
        assert_eq!(self.status("NoNewPrivs")?, "1");
        // Filtered, and by two filters: ours and QEMU's own.
        assert_eq!(self.status("Seccomp")?, "2");
        assert_eq!(self.status("Seccomp_filters")?, "2");
        Ok(())
    }

    fn is_apart(&self) -> anyhow::Result<()> {
        for kind in ["mnt", "net", "ipc", "uts", "pid"] {
            let ours = fs::read_link(format!("/proc/self/ns/{kind}"))?;
            assert_ne!(self.namespace(kind)?, ours, "it is in the host's {kind} namespace");
        }
        let ids = self.status("NSpid")?;
        assert_eq!(ids, format!("{}\t1", self.pid), "it is not alone among its processes");
        let links = fs::read_to_string(self.path("net/dev"))?;
        let links: Vec<_> =
            links.lines().skip(2).filter_map(|line| line.split(':').next()).collect();
        assert!(links.iter().all(|link| link.trim() == "lo"), "{links:?}");
        Ok(())
    }

    fn is_limited(&self) -> anyhow::Result<()> {
        let goes_first: i32 = fs::read_to_string(self.path("oom_score_adj"))?.trim().parse()?;
        assert!(goes_first > 0, "out of memory, the kernel spares it: {goes_first}");
        let limits = fs::read_to_string(self.path("limits"))?;
        for name in ["Max core file size", "Max locked memory"] {
            let line = limits.lines().find(|line| line.starts_with(name)).context(name)?;
            assert!(line[name.len()..].trim().starts_with("0 "), "{line}");
        }
        for name in ["Max file size", "Max data size", "Max processes", "Max open files"] {
            let line = limits.lines().find(|line| line.starts_with(name)).context(name)?;
            assert!(!line.contains("unlimited"), "{line}");
        }
        let groups = fs::read_to_string(self.path("cgroup"))?;
        let Some(group) = groups.lines().find_map(|line| line.strip_prefix("0::")) else {
            eprintln!("no cgroup2 here: limits of control groups are not looked at");
            return Ok(());
        };
        let mount = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
        let mount = mount.into_iter().find(|path| path.join("cgroup.controllers").exists());
        let path = mount.context("where cgroup2 is")?.join(group.trim_start_matches('/'));
        assert!(group.contains("-machines/vm-"), "{group}");
        let controllers = fs::read_to_string(path.join("cgroup.controllers"))?;
        for (controller, file, most) in [
            ("memory", "memory.max", 4_u64 << 30),
            ("memory", "memory.swap.max", 0),
            ("pids", "pids.max", 1000),
        ] {
            if controllers.split_whitespace().any(|one| one == controller) {
                let value: u64 = fs::read_to_string(path.join(file))?.trim().parse()?;
                assert!(value <= most, "{file} is {value}");
            }
        }
        Ok(())
    }

    /// Its open files: the sandbox's own, its log, the tap, and the memory of the
    /// template, which it can only read.
    fn holds_only_its_own(&self, data: &Path) -> anyhow::Result<()> {
        let home = data.canonicalize()?.join("pool/sandboxes").join(&self.sandbox);
        let own = [
            home.join("root.raw"),
            home.join("vmm.log"),
            "/dev/null".into(),
            "/dev/net/tun".into(),
        ];
        for entry in fs::read_dir(self.path("fd"))? {
            let entry = entry?;
            let target = fs::read_link(entry.path())?;
            let text = target.to_string_lossy().into_owned();
            if own.contains(&target)
                || text.starts_with("anon_inode:")
                || text.starts_with("socket:")
            {
                continue;
            }
            ensure!(
                target.ends_with("memory") && target.starts_with(data.canonicalize()?),
                "it holds {text}"
            );
            let name = entry.file_name().to_string_lossy().into_owned();
            let information = fs::read_to_string(self.path(&format!("fdinfo/{name}")))?;
            let flags = information.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = u32::from_str_radix(flags.context("no flags")?.trim(), 8)?;
            assert_eq!(flags & 0o3, 0, "it can write to {text}");
        }
        Ok(())
    }

    /// Does `work` where it is and as who it is.
    fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> anyhow::Result<T> {
        let user = self.user()?;
        let spaces = ["net", "ipc", "uts", "mnt"];
        let spaces: Vec<_> = spaces
            .iter()
            .map(|kind| File::open(self.path(&format!("ns/{kind}"))))
            .collect::<Result<_, _>>()?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                // SAFETY: only this thread's root and working directory become its own.
                unsafe { unshare_unsafe(UnshareFlags::FS) }?;
                for space in &spaces {
                    move_into_link_name_space(space.as_fd(), None)?;
                }
                rustix::process::chdir("/")?;
                let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
                set_thread_groups(&[])?;
                set_thread_res_gid(group, group, group)?;
                set_thread_res_uid(user, user, user)?;
                let none = CapabilitySet::empty();
                let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
                set_capabilities(None, none)?;
                set_no_new_privs(true)?;
                work()
            });
            let outcome = thread.join().map_err(|_| anyhow::anyhow!("the thread panicked"))?;
            Ok(outcome?)
        })
    }
}
