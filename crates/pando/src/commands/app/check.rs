//! `pando app check`: as a deployment reads the file, on this machine alone.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pando_deploy::manifest::{self, FILE_NAME, MAX_BYTES};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::error::Failure;
use crate::output;

const HINT: &str = "docs/pando-toml.md has every key; the file may also be left out";

/// What is looked at.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The folder of the file
    #[arg(default_value = ".")]
    folder: PathBuf,
}

/// Says that it is good, or fails with all that is wrong.
pub fn run(args: &CheckArgs) -> Result<(), Failure> {
    let path = args.folder.join(FILE_NAME);
    let text = read(&path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(|error| Failure::new(error, HINT))?;
    // Its name comes from whoever typed it; the text may be a stranger's, and is cleaned there.
    manifest::check(&path.display().to_string(), &text)
        .map_err(|problems| Failure::new(problems, HINT))?;
    output::say(&format!("{} is good", path.display()));
    Ok(())
}

/// A little more than may be there at most: that is said where all else is said.
fn read(path: &Path) -> io::Result<String> {
    let is_none = || io::Error::other("it is no regular file");
    // At once: a named pipe would be waited at for who writes into it.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        // A socket, or a device that nobody is behind.
        Some(Errno::NXIO) => is_none(),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(is_none());
    }
    let mut text = String::new();
    file.take(MAX_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_good_wrong_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let args = CheckArgs { folder: folder.path().to_owned() };
        assert!(run(&args).is_err());
        for (text, good) in [
            ("\u{feff}[web]\nport = 80\n", true),
            ("", true),
            ("[web]\nprot = 80\n", false),
            (&"#".repeat(MAX_BYTES + 1), false),
        ] {
            std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
            assert_eq!(run(&args).is_ok(), good, "{text}");
        }
    }
    #[test]
    fn what_is_no_file_is_not_waited_for() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        use std::os::unix::net::UnixListener;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let refused = || {
            let error = read(&path).unwrap_err();
            std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path)).unwrap();
            error.to_string()
        };
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(refused(), "it is no regular file");
        let _socket = UnixListener::bind(&path).unwrap();
        assert_eq!(refused(), "it is no regular file");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert_eq!(refused(), "it is no regular file");
        std::fs::create_dir(&path).unwrap();
        assert_eq!(refused(), "it is no regular file");
    }
}
