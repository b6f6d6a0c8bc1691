//! Puts the program where people find it, whatever the root disk was made of.

use std::fs;
use std::io;
use std::path::Path;

use super::PROGRAM;
use crate::sys::log;

const FOLDER: &str = "/usr/local/bin";

/// Puts it on the root disk. Without it the machine works all the same.
pub fn install() {
    if let Err(error) = copy_to(Path::new(FOLDER)) {
        log::error(format_args!("no {PROGRAM}: {error}"));
    }
}

fn copy_to(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = folder.join(PROGRAM);
    // Another agent's, of the machine that this disk had before. What is at that name may
    // be a link to elsewhere, which is not followed.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // The permissions, too: all may run it.
    fs::copy("/proc/self/exe", path).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "kept").unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(&elsewhere, bin.join(PROGRAM)).unwrap();
        copy_to(&bin).unwrap();
        let own = fs::read("/proc/self/exe").unwrap();
        assert!(fs::read(bin.join(PROGRAM)).unwrap() == own);
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "kept");
    }
}
