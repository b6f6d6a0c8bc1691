//! `pando app check`: as a deployment reads the file, on this machine alone.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use pando_deploy::manifest::{self, FILE_NAME, MAX_BYTES};

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
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_string(&mut text)?;
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
}
