//! Texts that are not for the command line, where every user of a machine reads them.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use crate::error::Failure;
use crate::output;

/// What stands for standard input.
pub const STDIN: &str = "-";

/// Standard input to its end; `what` is asked for where that is a terminal.
pub fn of_stdin(what: &str, most_bytes: usize) -> Result<String, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        output::say(&format!("type {what}; Ctrl-D on a line of its own ends it"));
    }
    whole("standard input", stdin.lock(), most_bytes)
}

/// A file, or standard input.
pub fn of_file(path: &Path, most_bytes: usize) -> Result<String, Failure> {
    if path == Path::new(STDIN) {
        return of_stdin("NAME=VALUE lines", most_bytes);
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| not_read(&name, error))?;
    whole(&name, file, most_bytes)
}

fn whole(name: &str, from: impl Read, most_bytes: usize) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most_bytes).unwrap_or(u64::MAX);
    from.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| not_read(name, error))?;
    if bytes.len() > most_bytes {
        let message = format!("{name} holds more than {most_bytes} bytes");
        return Err(Failure::usage(message, "no app takes more"));
    }
    String::from_utf8(bytes).map_err(|_| {
        let hint =
            "an environment is text; encode other bytes (`base64`), and decode them in the app";
        Failure::usage(format!("{name} is not UTF-8"), hint)
    })
}

fn not_read(name: &str, error: io::Error) -> Failure {
    let error = anyhow::Error::new(error).context(format!("cannot read {name}"));
    Failure::new(error, "name a file that is there, or - for standard input")
}
