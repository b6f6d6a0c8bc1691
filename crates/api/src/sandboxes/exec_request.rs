//! From the wire's command to the agent's, pure: what is wrong with a command is
//! said here, before a guest is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use pando_guest_protocol::session::{Exec, FailureKind};
use pando_node::guest::{ExecInput, GuestError};
use pando_node::held::{Charge, Held};
use pando_types::limits;
use pando_types::sandbox::{Command, ExecCommand};
use pando_types::{Code, PublicError};

use super::fs::path;
use crate::refusal::{Refused, guest_failed};

/// A command that may be sent to a guest.
#[derive(Debug, PartialEq)]
pub struct Checked {
    /// What the agent is told.
    pub exec: Exec,
    /// All of its standard input.
    pub stdin: Option<Bytes>,
    /// When its process group is killed.
    pub timeout: Duration,
}

/// Checks `command` and puts it in the agent's words.
pub fn check(command: ExecCommand) -> Result<Checked, PublicError> {
    let timeout = timeout(command.timeout_seconds)?;
    let env = command.env.unwrap_or_default();
    check_surroundings(command.cwd.as_deref(), command.user.as_deref(), &env)?;
    let exec = Exec {
        argv: argv("cmd", command.cmd)?,
        cwd: command.cwd,
        env,
        user: command.user,
        timeout_ms: Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1)),
        detached_log: None,
        log_name: None,
        root: None,
    };
    Ok(Checked { exec, stdin: command.stdin.map(Bytes::from), timeout })
}

/// Where a program is to run, as whom, with what in its environment.
pub fn check_surroundings(
    cwd: Option<&str>,
    user: Option<&str>,
    env: &BTreeMap<String, String>,
) -> Result<(), PublicError> {
    if let Some(cwd) = cwd {
        path::check("cwd", cwd)?;
    }
    if let Some(user) = user {
        no_nul("user", user)?;
        if user.is_empty() {
            return Err(PublicError::invalid("user", "`user` is empty; leave it out for root"));
        }
        if user.len() > limits::MAX_USER_BYTES {
            let message = format!("`user` is longer than {} bytes", limits::MAX_USER_BYTES);
            return Err(PublicError::invalid("user", message));
        }
    }
    check_env(env)
}

/// The standard input of a checked command, a part of what its request is `held` by
/// until the guest has taken it.
pub fn input(stdin: Option<Bytes>, held: &mut Charge) -> ExecInput {
    stdin.map_or(ExecInput::Empty, |stdin| ExecInput::Bytes(part(stdin, held)))
}

/// Bytes that are counted by their part of `held` for as long as they live.
pub fn part(bytes: Bytes, held: &mut Charge) -> Bytes {
    let charge = held.split(bytes.len());
    Bytes::from_owner(Held::new(bytes, charge))
}

/// What a client is told when the time limit ended its command. Public clients
/// look for the word `timeout`.
pub fn timed_out(timeout: Duration) -> PublicError {
    let secs = timeout.as_secs_f64();
    let message =
        format!("timeout: the command ran for {secs} s, so it and all it started were killed");
    PublicError::new(Code::Timeout, message)
        .hint("raise `timeout_seconds`, or start what should live on with `setsid`")
}

/// What a client is told when the program that its field `program` names could not
/// run. A program, user or directory that is missing or closed is the request's
/// fault; a 404 would say that the sandbox is missing.
pub fn failed(program: &'static str, error: GuestError) -> Refused {
    use FailureKind::{Conflict, Denied, Invalid, NoDirectory, NoUser, NotFound};
    let GuestError::Failed(failure) = error else { return guest_failed(error) };
    let field = match failure.kind {
        NoUser => "user",
        NoDirectory => "cwd",
        NotFound | Denied | Conflict | Invalid => program,
        _ => return guest_failed(GuestError::Failed(failure)),
    };
    PublicError::invalid(field, failure.message).into()
}

/// What a client is told when nobody says any more how its command ended.
pub fn lost() -> PublicError {
    let message = "the sandbox's agent went away before the command ended";
    PublicError::new(Code::GuestFailed, message)
}

/// When a command's process group is killed.
pub fn timeout(seconds: Option<f64>) -> Result<Duration, PublicError> {
    let Some(seconds) = seconds else {
        return Ok(limits::DEFAULT_EXEC_TIMEOUT);
    };
    let most = limits::MAX_EXEC_TIMEOUT.as_secs();
    let in_range = seconds > 0.0 && seconds <= limits::MAX_EXEC_TIMEOUT.as_secs_f64();
    Duration::try_from_secs_f64(seconds).ok().filter(|_| in_range).ok_or_else(|| {
        let message = format!("`timeout_seconds` must be more than 0 and at most {most}");
        PublicError::invalid("timeout_seconds", message)
    })
}

/// A command as an argv that the guest can start; `field` is what the request calls it.
pub fn argv(field: &'static str, command: Command) -> Result<Vec<String>, PublicError> {
    let empty = |what| PublicError::invalid(field, format!("`{field}` is empty: there is {what}"));
    let argv = match command {
        Command::Shell(text) if text.trim().is_empty() => return Err(empty("nothing to run")),
        Command::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text],
        Command::Argv(argv) if argv.first().is_none_or(String::is_empty) => {
            return Err(empty("no program to run"));
        }
        Command::Argv(argv) => argv,
    };
    for argument in &argv {
        no_nul(field, argument)?;
    }
    // Each string ends in a NUL in the kernel's count, whose limit for one string
    // (MAX_ARG_STRLEN, 32 pages) is the same number.
    let bytes: usize = argv.iter().map(|argument| argument.len() + 1).sum();
    if bytes > limits::MAX_COMMAND_BYTES {
        let most = limits::MAX_COMMAND_BYTES;
        let message = format!("`{field}` is {bytes} bytes long; the most is {most}");
        return Err(PublicError::invalid(field, message).hint(
            "write the script to a file (`PUT …/fs?path=…`), or send it as `stdin` of a shell",
        ));
    }
    Ok(argv)
}

fn check_env(env: &BTreeMap<String, String>) -> Result<(), PublicError> {
    for (name, value) in env {
        let field = || format!("env.{}", name.chars().take(64).collect::<String>());
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = "an environment name is not empty and holds no `=` and no NUL";
            return Err(PublicError::invalid("env", message));
        }
        if name.len() > limits::MAX_ENV_NAME_BYTES {
            let most = limits::MAX_ENV_NAME_BYTES;
            let message = format!("an environment name is longer than {most} bytes");
            return Err(PublicError::invalid("env", message));
        }
        no_nul(&field(), value)?;
        if name.len() + value.len() + 2 > limits::MAX_COMMAND_BYTES {
            let message =
                format!("`{}` is longer than {} bytes", field(), limits::MAX_COMMAND_BYTES);
            return Err(PublicError::invalid(field(), message));
        }
    }
    Ok(())
}

fn no_nul(field: &str, text: &str) -> Result<(), PublicError> {
    if text.contains('\0') {
        return Err(PublicError::invalid(field, format!("`{field}` must not hold a NUL byte")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::session::Failure;
    use serde_json::{Value, json};

    fn checked(request: Value) -> Result<Checked, (Option<String>, String)> {
        let command: ExecCommand = serde_json::from_value(request).unwrap();
        check(command).map_err(|error| {
            assert_eq!(error.code, Code::InvalidRequest);
            (error.field, error.message)
        })
    }

    #[test]
    fn a_shell_string_goes_to_the_shell_and_an_argv_does_not() {
        let shell = checked(json!({"cmd": "echo $HOME"})).unwrap();
        assert_eq!(shell.exec.argv, ["/bin/sh", "-c", "echo $HOME"]);
        assert_eq!(shell.exec.timeout_ms, Some(600_000));
        let argv = checked(json!({
            "cmd": ["cat", "-n"], "stdin": "x", "timeout_seconds": 0.25, "cwd": "/srv",
            "env": {"A": "b"}, "user": "app", "unknown": true
        }));
        let argv = argv.unwrap();
        assert_eq!(argv.exec.argv, ["cat", "-n"]);
        assert_eq!(argv.exec.timeout_ms, Some(250));
        assert_eq!(argv.stdin.as_deref(), Some(&b"x"[..]));
        assert_eq!(argv.exec.cwd.as_deref(), Some("/srv"));
    }

    #[test]
    fn the_smallest_timeout_is_still_one() {
        let tiny = checked(json!({"cmd": "true", "timeout_seconds": 1e-9})).unwrap();
        assert_eq!(tiny.exec.timeout_ms, Some(1));
    }

    #[test]
    fn bad_commands_are_refused_by_field() {
        let long = "x".repeat(limits::MAX_COMMAND_BYTES);
        for (request, field) in [
            (json!({"cmd": ""}), "cmd"),
            (json!({"cmd": "  "}), "cmd"),
            (json!({"cmd": []}), "cmd"),
            (json!({"cmd": [""]}), "cmd"),
            (json!({"cmd": "a\u{0}b"}), "cmd"),
            (json!({"cmd": long}), "cmd"),
            (json!({"cmd": "x", "timeout_seconds": 0}), "timeout_seconds"),
            (json!({"cmd": "x", "timeout_seconds": -1}), "timeout_seconds"),
            (json!({"cmd": "x", "timeout_seconds": 86400.5}), "timeout_seconds"),
            (json!({"cmd": "x", "timeout_seconds": 1e300}), "timeout_seconds"),
            (json!({"cmd": "x", "cwd": "relative"}), "cwd"),
            (json!({"cmd": "x", "cwd": "/a/../b"}), "cwd"),
            (json!({"cmd": "x", "user": ""}), "user"),
            (json!({"cmd": "x", "env": {"A=B": "c"}}), "env"),
            (json!({"cmd": "x", "env": {"A": "\u{0}"}}), "env.A"),
        ] {
            let refused = checked(request.clone()).unwrap_err();
            assert_eq!(refused.0.as_deref(), Some(field), "{request}");
        }
        assert!(checked(json!({"cmd": "x", "timeout_seconds": 86400})).is_ok());
    }

    #[test]
    fn a_missing_program_is_the_requests_fault() {
        let failure = |kind| {
            let message = "no program `nope`".to_owned();
            let error = failed("cmd", GuestError::Failed(Failure { kind, message })).into_error();
            (error.code, error.field)
        };
        let wrong = |field: &str| (Code::InvalidRequest, Some(field.to_owned()));
        assert_eq!(failure(FailureKind::NotFound), wrong("cmd"));
        assert_eq!(failure(FailureKind::NoUser), wrong("user"));
        assert_eq!(failure(FailureKind::NoDirectory), wrong("cwd"));
        assert_eq!(failure(FailureKind::Busy), (Code::Unavailable, None));
        assert_eq!(failure(FailureKind::Other), (Code::GuestFailed, None));
    }

    #[test]
    fn a_timeout_says_so() {
        let error = timed_out(Duration::from_millis(1500));
        assert_eq!(error.code.status(), 504);
        assert!(error.message.starts_with("timeout: the command ran for 1.5 s"));
        // This phrase means something else to the same clients.
        assert!(!error.message.contains("i/o timeout"));
    }
}
