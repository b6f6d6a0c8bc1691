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
use pando_types::schema::value::ReplId;
use pando_types::{Code, PublicError, SandboxId};
use utoipa::IntoParams;

use crate::extract::shown;
use crate::refusal::{Refused, guest_failed};

/// The placeholders of a session's routes, as they describe them.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes; the handlers read")]
pub struct Session {
    /// The sandbox.
    #[param(inline)]
    id: SandboxId,
    /// The session.
    #[param(value_type = ReplId, inline)]
    session: String,
}

/// The session id in a path. Text that is none is the id of nothing: 404, not 400.
fn session_id(text: String) -> Result<String, PublicError> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() == 32 && digits {
        Ok(text)
    } else {
        Err(PublicError::not_found("code session", shown(&text)))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_32_lower_case_hex_digits() {
        let id = "8ecdf78335693ec932fa6de3d1fcb8ca";
        assert_eq!(session_id(id.to_owned()).as_deref(), Ok(id));
        for bad in ["", "0", &id.to_uppercase(), &id[1..], &format!("{id}0"), &"x".repeat(999)] {
            let error = session_id(bad.to_owned()).unwrap_err();
            assert_eq!(error.code, Code::NotFound, "{bad}");
        }
    }
}
