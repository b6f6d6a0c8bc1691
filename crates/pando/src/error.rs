//! How a command fails: a cause chain that is printed once, a next step, and an
//! exit code by kind.

use std::fmt;
use std::io;
use std::process::ExitCode;

use pando_types::{Code, Refusal};

use crate::client::ClientError;

/// The kinds of failure, by exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It did not work (1).
    Failed,
    /// It was asked wrongly (2, as clap's own).
    Usage,
    /// `exec` or `shell` could not run the command or lost it (125). Their other codes are the command's.
    Exec,
}

/// What ends a command early.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    error: anyhow::Error,
    hint: String,
}

impl Failure {
    /// A failure with the step that mends it.
    pub fn new(error: impl Into<anyhow::Error>, hint: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, error: error.into(), hint: hint.into() }
    }

    /// Something that was typed and cannot be meant.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let error = anyhow::Error::msg(message.into());
        Self { kind: Kind::Usage, error, hint: hint.into() }
    }

    /// The same failure as one of `exec`, whose exit code must not be taken for the command's.
    pub fn of_exec(self) -> Self {
        Self { kind: Kind::Exec, ..self }
    }

    /// Prints it, and returns the exit code.
    pub fn report(self) -> ExitCode {
        // Whoever read our output has gone, and needs no message.
        let pipe = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
        };
        if !self.error.chain().any(pipe) {
            eprint!("{}", self.text());
        }
        ExitCode::from(match self.kind {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Exec => 125,
        })
    }

    fn text(&self) -> String {
        let mut text = format!("error: {}\n", self.error);
        let mut said = self.error.to_string();
        for cause in self.error.chain().skip(1) {
            let cause = cause.to_string();
            // Some libraries repeat the cause in their own text.
            if !said.contains(&cause) {
                text.push_str(&format!("  because: {cause}\n"));
                said.push_str(&cause);
            }
        }
        text.push_str(&format!("hint: {}\n", self.hint));
        text
    }
}

/// A context that knows the step that mends what it wraps.
#[derive(Debug)]
pub struct Advice {
    /// What was tried.
    pub what: String,
    /// What to do next.
    pub hint: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let advice = error.downcast_ref().map(|advice: &Advice| advice.hint.clone());
        let hint =
            advice.unwrap_or_else(|| "`pando doctor` checks whether this host is ready".into());
        Self::new(error, hint)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let hint = match &error {
            ClientError::Url(_) => {
                "set --api-url or PANDO_API_URL to something like http://127.0.0.1:7070".into()
            }
            ClientError::Connect { url, .. } => {
                format!(
                    "is `pando serve` running at {url}? Another address: --api-url or PANDO_API_URL"
                )
            }
            ClientError::Refused { refusal, .. } => refusal_hint(refusal),
            ClientError::Broken(_) | ClientError::Socket(_) => {
                "try again; the server's log says what it saw".into()
            }
            ClientError::Answer { .. } => {
                "is this a Pando server, and of this version? `curl <url>/healthz` shows it".into()
            }
        };
        Self::new(error, hint)
    }
}

fn refusal_hint(refusal: &Refusal) -> String {
    if refusal.code == Code::Unauthorized {
        return "set PANDO_API_KEY; on the server's machine, `pando key create LABEL` makes a key"
            .into();
    }
    refusal.hint.clone().unwrap_or_else(|| {
        match refusal.code {
            Code::NotFound => {
                "`pando sandbox ls`, `pando app ls` and `pando preview ls` show what there is"
            }
            Code::Unavailable | Code::OverQuota | Code::InsufficientStorage => {
                "try again later; nothing was made"
            }
            Code::InvalidRequest | Code::Conflict => {
                "change the request and try again; --help shows what is taken"
            }
            Code::NotImplemented => "a newer server may have it",
            _ => "the server's log holds the cause",
        }
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn each_cause_is_printed_once_and_a_next_step_follows() {
        let io = io::Error::other("disk on fire");
        let error = Err::<(), _>(io).context("cannot write x: disk on fire").context("cannot copy");
        let failure = Failure::new(error.unwrap_err(), "call the fire brigade");
        insta::assert_snapshot!(failure.text(), @r"
        error: cannot copy
          because: cannot write x: disk on fire
        hint: call the fire brigade
        ");
    }

    #[test]
    fn advice_is_found_below_other_contexts() {
        let io = io::Error::other("disk on fire");
        let advice = Advice { what: "cannot write x".into(), hint: "pour water".into() };
        let error = Err::<(), _>(io).context(advice).context("cannot copy").unwrap_err();
        insta::assert_snapshot!(Failure::from(error).text(), @r"
        error: cannot copy
          because: cannot write x
          because: disk on fire
        hint: pour water
        ");
    }

    #[test]
    fn a_refusal_is_shown_with_the_servers_hint_or_ours() {
        let refused = |code, hint: Option<&str>| {
            let refusal =
                Refusal { error: "no".into(), code, field: None, hint: hint.map(str::to_owned) };
            Failure::from(ClientError::Refused { status: code.status(), refusal }).text()
        };
        insta::assert_snapshot!(refused(Code::NotFound, None), @r"
        error: no (404)
        hint: `pando sandbox ls`, `pando app ls` and `pando preview ls` show what there is
        ");
        insta::assert_snapshot!(refused(Code::Conflict, Some("wait")), @r"
        error: no (409)
        hint: wait
        ");
        insta::assert_snapshot!(refused(Code::Unauthorized, Some("send a header")), @r"
        error: no (401)
        hint: set PANDO_API_KEY; on the server's machine, `pando key create LABEL` makes a key
        ");
    }
}
