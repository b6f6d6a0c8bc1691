//! The initramfs of a guest: the agent as `/init`, and the kernel's modules.
//!
//! The format is "newc" cpio, as the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst describes it.
//! Uncompressed: it is read once, at bake.

/// One file of the archive.
pub(super) struct Member {
    /// Its path, without a leading slash.
    pub path: String,
    /// What it is.
    pub content: Content,
}

pub(super) enum Content {
    Directory,
    /// Its bytes and whether it is a program.
    File {
        bytes: Vec<u8>,
        executable: bool,
    },
    /// A character device.
    Device {
        major: u32,
        minor: u32,
    },
}

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const DATA: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// The archive's bytes: the same members always give the same bytes.
pub(super) fn archive(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, member) in members.iter().enumerate() {
        let (mode, content, device): (u32, &[u8], (u32, u32)) = match &member.content {
            Content::Directory => (DIRECTORY, &[], (0, 0)),
            Content::File { bytes, executable } => {
                (if *executable { PROGRAM } else { DATA }, bytes, (0, 0))
            }
            Content::Device { major, minor } => (CHARACTER_DEVICE, &[], (*major, *minor)),
        };
        append(&mut bytes, index + 1, &member.path, mode, content, device);
    }
    append(&mut bytes, 0, "TRAILER!!!", 0, &[], (0, 0));
    bytes
}

fn append(
    bytes: &mut Vec<u8>,
    inode: usize,
    path: &str,
    mode: u32,
    content: &[u8],
    device: (u32, u32),
) {
    let fields = [
        inode,
        mode as usize,
        0,
        0,
        1,
        0,
        content.len(),
        0,
        0,
        device.0 as usize,
        device.1 as usize,
        path.len() + 1,
        0,
    ];
    bytes.extend_from_slice(b"070701");
    for field in fields {
        bytes.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    bytes.extend_from_slice(path.as_bytes());
    bytes.push(0);
    pad(bytes);
    bytes.extend_from_slice(content);
    pad(bytes);
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn cpio_reads_what_we_write() {
        let members = [
            Member { path: "dev".into(), content: Content::Directory },
            Member { path: "dev/console".into(), content: Content::Device { major: 5, minor: 1 } },
            Member {
                path: "init".into(),
                content: Content::File { bytes: b"agent".to_vec(), executable: true },
            },
        ];
        let mut child = Command::new("cpio")
            .args(["-tv", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&archive(&members)).unwrap();
        let listing = child.wait_with_output().unwrap();
        assert!(listing.status.success());
        let listing = String::from_utf8(listing.stdout).unwrap();
        let starts: Vec<_> = listing.lines().map(|line| &line[..10]).collect();
        assert_eq!(starts, ["drwxr-xr-x", "crw-------", "-rwxr-xr-x"], "{listing}");
    }
}
