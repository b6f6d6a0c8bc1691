//! Somewhere to run programs and open sockets: this host, or a namespace on it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Long enough for a SYN to be answered in memory, and short of its first repeat,
/// for what is blocked is waited for in full.
const HEARING_LIMIT: Duration = Duration::from_millis(900);

/// The host itself.
pub const HOST: Place = Place { namespace: None };

/// A network namespace, by its name in `/run/netns`.
pub struct Place {
    namespace: Option<String>,
}

impl Place {
    pub fn namespace(name: &str) -> Self {
        Self { namespace: Some(name.to_owned()) }
    }

    /// Runs a program to its end there and returns what it printed. `ip netns exec`
    /// also gives it the namespace's own resolv.conf.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = match &self.namespace {
            None => Command::new(program),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name, program]);
                command
            }
        };
        let output = command.args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `work` on a thread that is there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace =
            self.namespace.as_ref().map(|name| File::open(format!("/run/netns/{name}")).unwrap());
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                if let Some(file) = &namespace {
                    let network = Some(LinkNameSpaceType::Network);
                    move_into_link_name_space(file.as_fd(), network).unwrap();
                }
                work()
            });
            thread.join().unwrap()
        })
    }

    /// Whether a connection from there comes about.
    pub fn connects(&self, target: SocketAddrV4) -> bool {
        self.enter(|| TcpStream::connect_timeout(&target.into(), HEARING_LIMIT).is_ok())
    }

    /// What a listener says to somebody who connects from there; none if nobody answers.
    pub fn hear(&self, target: SocketAddrV4) -> Option<String> {
        self.enter(|| {
            let mut stream = TcpStream::connect_timeout(&target.into(), HEARING_LIMIT).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut heard = String::new();
            stream.read_to_string(&mut heard).unwrap();
            Some(heard)
        })
    }

    /// The packets that the counters in `object` (as `nft list` names it) have
    /// seen, in rules that contain `part`.
    pub fn packets(&self, object: &[&str], part: &str) -> u64 {
        let listed = self.run("nft", &[&["list"], object].concat());
        let rules = listed.lines().filter(|line| line.contains(part));
        rules
            .filter_map(|rule| rule.split_once("counter packets ")?.1.split(' ').next())
            .map(|count| count.parse::<u64>().unwrap())
            .sum()
    }
}

/// Runs `ip` commands in order; the first that fails ends it.
pub fn ip_batch(options: &[&str], commands: &[String]) {
    let mut child = Command::new("ip")
        .args(options)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(commands.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {options:?} {commands:#?}: {said}");
}
