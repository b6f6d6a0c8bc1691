//! `pando-lease`, the program that holds a lease: the agent's own, under another name.
//!
//! It becomes the command that it is given, which inherits the lease: so there is nothing
//! between the command and whoever waits for it, and nothing that could end before it.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};

use super::{HELD, NAME};

/// The name under which the agent's program is this one.
pub const PROGRAM: &str = "pando-lease";
const USAGE: &str = "\
pando-lease keeps this sandbox from being put to sleep for want of use.

usage: pando-lease COMMAND [ARGUMENT...]   while the command, or a process that it left, runs
       pando-lease --for SECONDS           for so long, or until it is ended";
/// How long the agent may take to give it.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// As shells say that a command was not found, or could not be run.
const NOT_RUN: u8 = 126;

enum Wanted {
    During(OsString, Vec<OsString>),
    For(Duration),
}

/// Runs as that program, with the arguments after its name.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(wanted) = wanted(arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let lease = match take() {
        Ok(lease) => lease,
        Err(error) => {
            eprintln!("pando-lease: no lease could be had: {error}");
            return ExitCode::FAILURE;
        }
    };
    match wanted {
        Wanted::For(time) => {
            std::thread::sleep(time);
            ExitCode::SUCCESS
        }
        Wanted::During(command, arguments) => {
            let error = match fcntl_setfd(&lease, FdFlags::empty()) {
                Ok(()) => Command::new(&command).args(arguments).exec(),
                Err(error) => error.into(),
            };
            eprintln!("pando-lease: cannot run {}: {error}", command.display());
            ExitCode::from(NOT_RUN)
        }
    }
}

fn wanted(mut arguments: impl Iterator<Item = OsString>) -> Option<Wanted> {
    let first = arguments.next()?;
    if first == "--for" {
        let seconds: u64 = arguments.next()?.to_str()?.parse().ok()?;
        let is_all = arguments.next().is_none();
        return is_all.then_some(Wanted::For(Duration::from_secs(seconds)));
    }
    let command = if first == "--" { arguments.next()? } else { first };
    // Options that are none must not be taken for commands.
    let is_command = !command.as_encoded_bytes().starts_with(b"-");
    is_command.then(|| Wanted::During(command, arguments.collect()))
}

fn take() -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(NAME)?)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let mut answer = [0];
    match stream.read(&mut answer)? {
        1 if answer[0] == HELD => Ok(stream),
        _ => Err(io::Error::other("too many are held")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Option<Wanted> {
        wanted(words.iter().map(OsString::from))
    }

    #[test]
    fn what_is_wanted_is_told_from_what_makes_no_sense() {
        assert!(matches!(of(&["--for", "60"]), Some(Wanted::For(time)) if time.as_secs() == 60));
        for words in [&["sleep", "-x"][..], &["--", "sleep", "-x"]] {
            let Some(Wanted::During(command, arguments)) = of(words) else { panic!("{words:?}") };
            assert_eq!((command, arguments), ("sleep".into(), vec![OsString::from("-x")]));
        }
        for words in [&[][..], &["--"], &["--for"], &["--for", "-1"], &["--for", "1", "x"], &["-h"]]
        {
            assert!(of(words).is_none(), "{words:?}");
        }
    }
}
