//! A token from a file: on a command line others on the machine could read it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::Failure;

/// More than any token has.
const MAX_BYTES: u64 = 4096;

/// The token in a file, `-` for standard input; empty where there is none in it.
pub fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("cannot read {}", path.display()));
        Failure::new(
            error,
            "--git-token-file names a file with the token in it, or - for standard input",
        )
    })?;
    Ok(text.trim().to_owned())
}
