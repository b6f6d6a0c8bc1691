//! The tree of a commit into the app's folder of a machine, byte for byte.
//!
//! A disk that an earlier deployment left has that one's tree, among what its install made. So
//! a list of what came goes along, on the disk; with it just that is removed again.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use pando_node::guest::{ExecEvent, ExecInput};
use tokio::sync::oneshot;

use super::fetch::refused;
use super::run::{Halt, Run};
use crate::git::{GitError, Mirror, TreeEntry};
use crate::machine::{Machine, broken_off, exec, input};

/// How long the tree may take into the sandbox.
const TREE_LIMIT: Duration = Duration::from_secs(300);
/// Files belong to root, not to numbers from the archive; whoever a template's commands run as,
/// git is to take them for that user's own.
const UNPACK: &str = r"printf '[safe]\n\tdirectory = /app\n' 2>/dev/null >>/etc/gitconfig
exec tar -x -C /app --no-same-owner";
/// Keeps the names of what comes, each ended by a NUL: files, links and submodules.
const RECORD: &str = "mkdir -p /opt/pando && exec cat >/opt/pando/tree";
/// Removes what came before. Folders go that are empty then, the innermost first.
const CLEAN: &str = "\
set -e
cd /app
rm -rf .git
xargs -0 -r rm -rf -- </opt/pando/tree
xargs -0 -r rmdir -- </opt/pando/folders 2>/dev/null || true";
const RECORD_FOLDERS: &str = "exec cat >/opt/pando/folders";

impl Run {
    /// Puts the commit's tree into the app's folder, in the place of the one that a disk of an
    /// earlier deployment has.
    pub(super) async fn unpack(
        &self,
        machine: &dyn Machine,
        mirror: &Mirror,
        listing: &[TreeEntry],
        is_used: bool,
    ) -> Result<(), Halt> {
        if is_used {
            self.give(machine, CLEAN, Vec::new()).await?;
        }
        self.give(machine, RECORD, names(listing)).await?;
        self.give(machine, RECORD_FOLDERS, folders(listing)).await?;
        // What breaks the tree off is said here: the sandbox only sees an early end.
        let (tell, mut broken) = oneshot::channel();
        let mut tell = Some(tell);
        let tree = mirror.tree().map(move |bytes| {
            bytes.map_err(|error| {
                let told = std::io::Error::other(error.to_string());
                if let Some(tell) = tell.take() {
                    let _ = tell.send(error);
                }
                told
            })
        });
        self.feed(machine, UNPACK, input(tree.boxed()), &mut broken).await
    }

    async fn give(&self, machine: &dyn Machine, script: &str, bytes: Vec<u8>) -> Result<(), Halt> {
        let (_tell, mut broken) = oneshot::channel();
        let whole: BoxStream<'static, Result<Bytes, std::io::Error>> =
            stream::iter([Ok(Bytes::from(bytes))]).boxed();
        self.feed(machine, script, input(whole), &mut broken).await
    }

    /// Runs a script that reads its input to the end.
    async fn feed(
        &self,
        machine: &dyn Machine,
        script: &str,
        bytes: ExecInput,
        broken: &mut oneshot::Receiver<GitError>,
    ) -> Result<(), Halt> {
        let mut command = exec(&["/bin/sh", "-c", script]);
        command.timeout_ms = u64::try_from(TREE_LIMIT.as_millis()).ok();
        let failed = |error: &dyn std::fmt::Display| {
            Halt::Failed(format!("the tree could not be unpacked in the sandbox: {error}"))
        };
        let mut output = machine.run(command, bytes).await.map_err(|error| failed(&error))?;
        let mut said = Vec::new();
        loop {
            let event = tokio::select! {
                biased;
                Ok(error) = &mut *broken, if !broken.is_terminated() => return Err(refused(error)),
                event = output.next() => event.unwrap_or_else(|| Err(broken_off())),
            };
            match event.map_err(|error| failed(&error))? {
                ExecEvent::Stdout(bytes) | ExecEvent::Stderr(bytes) if said.len() < 2000 => {
                    said.extend_from_slice(&bytes[..bytes.len().min(2000)]);
                }
                ExecEvent::Stdout(_) | ExecEvent::Stderr(_) => {}
                ExecEvent::Exit(done) if done.exit_code == 0 => return Ok(()),
                ExecEvent::Exit(done) if done.timed_out => {
                    return Err(failed(&format!("it took longer than {} s", TREE_LIMIT.as_secs())));
                }
                ExecEvent::Exit(_) => return Err(failed(&String::from_utf8_lossy(&said).trim())),
            }
        }
    }
}

fn names(listing: &[TreeEntry]) -> Vec<u8> {
    let mut list = Vec::new();
    for entry in listing {
        list.extend_from_slice(&entry.path);
        list.push(0);
    }
    list
}

/// The folders that the files are in, each after those below it.
fn folders(listing: &[TreeEntry]) -> Vec<u8> {
    let mut folders = BTreeSet::new();
    for entry in listing {
        let mut path = entry.path.as_slice();
        while let Some(slash) = path.iter().rposition(|byte| *byte == b'/') {
            path = &path[..slash];
            if !folders.insert(path) {
                break;
            }
        }
    }
    let mut list = Vec::new();
    for folder in folders.iter().rev() {
        list.extend_from_slice(folder);
        list.push(0);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_after_what_is_in_them() {
        let entry = |path: &str| TreeEntry { path: path.into(), version: String::new() };
        let listing = [entry("a"), entry("b/c/d"), entry("b/c/e"), entry("b/f/g")];
        assert_eq!(folders(&listing), b"b/f\0b/c\0b\0");
        assert_eq!(names(&listing), b"a\0b/c/d\0b/c/e\0b/f/g\0");
        assert!(folders(&[]).is_empty());
    }
}
