//! The agent's file under other names: programs that people run, put where they are found
//! whatever the root disk was made of.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::sys::log;
use crate::{lease, pages};

const FOLDER: &str = "/usr/local/bin";
const NAMES: [&str; 2] = [lease::PROGRAM, pages::PROGRAM];

/// Runs as the program that `called` names; `None` where that is the agent.
pub fn run(called: &OsStr, arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    match Path::new(called).file_name()?.to_str()? {
        lease::PROGRAM => Some(lease::run(arguments)),
        pages::PROGRAM => Some(pages::run(arguments)),
        _ => None,
    }
}

/// Puts them on the root disk. Without them the machine works all the same.
pub fn install() {
    for name in NAMES {
        if let Err(error) = copy_to(Path::new(FOLDER), name) {
            log::error(format_args!("no {name}: {error}"));
        }
    }
}

fn copy_to(folder: &Path, name: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = folder.join(name);
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
    fn a_program_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "kept").unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for name in NAMES {
            std::os::unix::fs::symlink(&elsewhere, bin.join(name)).unwrap();
            copy_to(&bin, name).unwrap();
            let own = fs::read("/proc/self/exe").unwrap();
            assert!(fs::read(bin.join(name)).unwrap() == own);
        }
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "kept");
    }

    #[test]
    fn the_agent_is_none_of_them() {
        assert!(run(OsStr::new("/init"), std::iter::empty()).is_none());
        let usage = run(OsStr::new("/usr/local/bin/pando-pages"), std::iter::empty());
        assert_eq!(usage, Some(ExitCode::from(2)));
    }
}
