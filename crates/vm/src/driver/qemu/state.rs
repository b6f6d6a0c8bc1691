//! The device state that a VMM saves, on its way into a file that counts.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::create;
use crate::driver::MAX_DEVICE_STATE_BYTES;

/// A file without a name, beside where `path` is to be: for us, and to write only for a VMM.
/// It can keep what it is given for as long as it lives, and go on writing to it.
pub(super) fn unnamed(path: &Path) -> io::Result<(File, File)> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let temporary = i32::try_from(rustix::fs::OFlags::TMPFILE.bits()).map_err(io::Error::other)?;
    let mut options = OpenOptions::new();
    let ours = options.read(true).write(true).mode(0o600).custom_flags(temporary).open(dir)?;
    let theirs = File::options().write(true).open(format!("/proc/self/fd/{}", ours.as_raw_fd()))?;
    Ok((ours, theirs))
}

/// Makes a file of our own of what a VMM wrote.
pub(super) fn take(mut given: File, path: &Path) -> io::Result<()> {
    let mut state = Vec::new();
    given.rewind()?;
    given.take(MAX_DEVICE_STATE_BYTES + 1).read_to_end(&mut state)?;
    if state.len() as u64 > MAX_DEVICE_STATE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    create(path)?.write_all(&state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vmm_writes_after_its_state_was_taken_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("devices");
        let (given, mut theirs) = unnamed(&path).unwrap();
        theirs.write_all(b"state").unwrap();
        take(given, &path).unwrap();
        theirs.write_all(b" and more").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"state");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);

        let (given, theirs) = unnamed(&path).unwrap();
        theirs.set_len(MAX_DEVICE_STATE_BYTES + 1).unwrap();
        let error = take(given, &path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(std::fs::read(&path).unwrap(), b"state");
    }
}
