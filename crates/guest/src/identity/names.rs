//! The names that programs find in files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::{IdentityError, step};

/// Linux allows 64; a DNS label allows 63.
const HOSTNAME_BYTES: usize = 63;

/// Lower-case letters, digits and inner hyphens: a DNS label.
pub fn is_hostname(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty()
        && name.len() <= HOSTNAME_BYTES
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Writes names that no machine has, of the usual length: with the files' blocks and
/// pages there, a restored machine reads nothing from its disk to write its own.
pub fn rehearse(root: &Path) -> Result<(), IdentityError> {
    write(root, "pando-00000000", &"0".repeat(32))
}

/// Writes `/etc/hostname`, `/etc/hosts` and `/etc/machine-id` below `root`, and
/// D-Bus's copy of the last where there is one that is not a link to it.
pub fn write(root: &Path, hostname: &str, machine_id: &str) -> Result<(), IdentityError> {
    let machine_id = format!("{machine_id}\n");
    write_one(root, "etc/hostname", &format!("{hostname}\n"))?;
    write_one(root, "etc/hosts", &hosts(hostname))?;
    write_one(root, "etc/machine-id", &machine_id)?;
    let dbus = "var/lib/dbus/machine-id";
    match fs::symlink_metadata(root.join(dbus)) {
        Ok(metadata) if metadata.is_file() => write_one(root, dbus, &machine_id),
        _ => Ok(()),
    }
}

fn write_one(root: &Path, name: &str, content: &str) -> Result<(), IdentityError> {
    let path = root.join(name);
    let written = overwrite(&path, content).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            overwrite(&path, content)
        }
        _ => Err(error),
    });
    written.map_err(step(format!("write /{name}")))
}

/// In place: for a file that was emptied first the file system looks for other blocks,
/// and reads its maps from the disk for it.
fn overwrite(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all(content.as_bytes())?;
    let length = content.len() as u64;
    if file.metadata()?.len() != length {
        file.set_len(length)?;
    }
    Ok(())
}

fn hosts(hostname: &str) -> String {
    format!(
        "127.0.0.1 localhost\n\
         127.0.1.1 {hostname}\n\
         ::1 localhost ip6-localhost ip6-loopback\n\
         ff02::1 ip6-allnodes\n\
         ff02::2 ip6-allrouters\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_are_dns_labels() {
        for good in ["a", "stem-1", "0", &"x".repeat(63)] {
            assert!(is_hostname(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a b", "a\n", "ü", &"x".repeat(64)] {
            assert!(!is_hostname(bad), "{bad}");
        }
    }

    #[test]
    fn files_are_written_whole() {
        let root = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/hosts"), "127.0.1.1 former\n".repeat(100)).unwrap();
        write(root.path(), "stem-1", "0123").unwrap();
        assert_eq!(read("etc/hostname"), "stem-1\n");
        assert_eq!(read("etc/machine-id"), "0123\n");
        assert!(read("etc/hosts").contains("127.0.1.1 stem-1\n"));
        assert!(!read("etc/hosts").contains("former"));
        assert!(!root.path().join("var").exists());

        let dbus = root.path().join("var/lib/dbus");
        fs::create_dir_all(&dbus).unwrap();
        fs::write(dbus.join("machine-id"), "old\n").unwrap();
        write(root.path(), "stem-2", "4567").unwrap();
        assert_eq!(read("var/lib/dbus/machine-id"), "4567\n");
    }

    #[test]
    fn a_root_without_etc_gets_one() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "stem-1", "0123").unwrap();
        assert!(root.path().join("etc/machine-id").exists());
    }
}
