//! Copies that share their blocks until one side is written (`FICLONE`,
//! `ioctl_ficlonerange(2)`): constant time, no space.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Makes `to` a copy of `from` that shares its blocks. `to` must not exist; both
/// are on one file system.
///
/// # Errors
/// `EOPNOTSUPP` where the file system has no reflinks; else what it said.
pub fn clone_file(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from)?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    rustix::fs::ioctl_ficlone(&target, &source).map_err(|error| {
        let _ = std::fs::remove_file(to);
        io::Error::from(error)
    })
}

/// Whether files in `dir` can share blocks: tried, not guessed from the file system's name.
///
/// # Errors
/// When `dir` cannot be written at all.
pub fn works_in(dir: &Path) -> io::Result<bool> {
    let from = dir.join(".reflink-probe");
    let to = dir.join(".reflink-probe-copy");
    let _ = std::fs::remove_file(&to);
    std::fs::write(&from, [1; 4096])?;
    let outcome = clone_file(&from, &to);
    let _ = std::fs::remove_file(&to);
    std::fs::remove_file(&from)?;
    Ok(outcome.is_ok())
}
