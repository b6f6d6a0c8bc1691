//! `/v1/sandboxes/{id}/repl/sessions`: interpreters that keep their state. The
//! sandbox owns them, so they outlast a restart of the server.

pub mod close;
pub mod list;
pub mod open;
pub mod run;

use pando_guest_protocol::repl::{Language, Repl};
use pando_guest_protocol::session::FailureKind;
use pando_node::guest::GuestError;
use pando_types::repl::ReplSession;
use pando_types::{Code, PublicError};

use crate::refusal::{Refused, guest_failed};

fn name(language: Language) -> &'static str {
    match language {
        Language::Python => "python",
        Language::Javascript => "javascript",
        Language::Bash => "bash",
    }
}

/// A guest's session as the wire shows it.
fn public(repl: Repl) -> ReplSession {
    ReplSession { id: repl.id, language: name(repl.language).to_owned(), pid: repl.pid }
}

/// What a client is told when a session did not do as asked: too many of them is
/// the caller's to mend, the rest is as the guest has it.
fn failed(error: GuestError) -> Refused {
    match error {
        GuestError::Failed(failure) if failure.kind == FailureKind::Busy => {
            PublicError::new(Code::OverQuota, failure.message).retry_after(5).into()
        }
        error => guest_failed(error),
    }
}
