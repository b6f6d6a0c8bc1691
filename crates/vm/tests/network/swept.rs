//! A prefix that is swept clean: of what a killed run left, before a test; of
//! what a failed one left, after it. It goes by names alone and trusts nothing
//! that is under test.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Where `ip netns exec` finds a namespace's own resolv.conf.
pub const RESOLVERS: &str = "/etc/netns";
const NAMESPACES: &str = "/run/netns";
const LINKS: &str = "/sys/class/net";

pub struct Swept {
    prefix: &'static str,
}

impl Swept {
    pub fn new(prefix: &'static str) -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test makes namespaces: run it as root");
        let swept = Self { prefix };
        swept.sweep();
        assert_eq!(swept.leftovers(), Vec::<String>::new());
        swept
    }

    /// What has the prefix in its name: namespaces, links, resolver folders, the table.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for folder in [NAMESPACES, RESOLVERS, LINKS] {
            left.extend(self.named(folder).iter().map(|name| format!("{folder}/{name}")));
        }
        let tables = Command::new("nft").args(["list", "tables"]).output().unwrap();
        let tables = String::from_utf8(tables.stdout).unwrap();
        left.extend(tables.lines().filter(|line| line.contains(self.prefix)).map(str::to_owned));
        left
    }

    fn named(&self, folder: &str) -> Vec<String> {
        // There is no such folder before the first namespace.
        let Ok(entries) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(self.prefix)).collect()
    }

    /// Says nothing of what was not there; [`Swept::leftovers`] judges.
    fn sweep(&self) {
        let run = |program: &str, arguments: &[&str]| {
            let _ = Command::new(program).args(arguments).output();
        };
        for name in self.named(NAMESPACES) {
            run("ip", &["netns", "delete", &name]);
        }
        for name in self.named(LINKS) {
            run("ip", &["link", "delete", &name]);
        }
        for name in self.named(RESOLVERS) {
            let _ = fs::remove_dir_all(Path::new(RESOLVERS).join(name));
        }
        run("nft", &["delete", "table", "inet", self.prefix]);
    }
}

impl Drop for Swept {
    fn drop(&mut self) {
        self.sweep();
    }
}
