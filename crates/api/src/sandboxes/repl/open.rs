//! `POST /v1/sandboxes/{id}/repl/sessions`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pando_guest_protocol::repl::{Language, OpenRepl};
use pando_guest_protocol::session::FailureKind;
use pando_node::guest::GuestError;
use pando_types::PublicError;
use pando_types::repl::{OpenReplSession, ReplSession};

use super::{failed, public};
use crate::Api;
use crate::auth::Caller;
use crate::extract::{OptionalJson, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::sandboxes::{exec_request, guest};

/// Starts a code session.
///
/// Its interpreter has 60 seconds to come up, which a loaded sandbox may need.
#[utoipa::path(
    post, path = "/sandboxes/{id}/repl/sessions", tag = "code", operation_id = "repl_open",
    params(("id" = String, Path, format = Uuid)), request_body = Option<OpenReplSession>,
    responses((status = 201, body = ReplSession), Refusals)
)]
pub async fn open(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    OptionalJson(request): OptionalJson<OpenReplSession>,
) -> Result<(StatusCode, Json<ReplSession>), Refused> {
    let (request, _held) = request.apart();
    let env = request.env.unwrap_or_default();
    exec_request::check_surroundings(request.cwd.as_deref(), request.user.as_deref(), &env)?;
    let language = language(request.language.as_deref().unwrap_or("python"))?;
    let open = OpenRepl { language, cwd: request.cwd, env, user: request.user };
    let repl = guest(&api, &caller, &id).await?.open_repl(open).await.map_err(not_opened)?;
    Ok((StatusCode::CREATED, Json(public(repl.apart().0))))
}

fn language(text: &str) -> Result<Language, PublicError> {
    match text {
        "python" | "py" | "python3" => Ok(Language::Python),
        "javascript" | "js" | "node" | "nodejs" => Ok(Language::Javascript),
        "bash" | "sh" | "shell" => Ok(Language::Bash),
        _ => {
            let message = "`language` must be `python`, `javascript` or `bash`";
            Err(PublicError::invalid("language", message))
        }
    }
}

/// A missing interpreter, user or directory is the request's fault; a 404 would say
/// that the sandbox is missing.
fn not_opened(error: GuestError) -> Refused {
    match error {
        GuestError::Failed(failure) if failure.kind == FailureKind::Busy => {
            failed(GuestError::Failed(failure))
        }
        error => exec_request::failed("language", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::session::Failure;
    use pando_types::Code;

    #[test]
    fn languages_have_several_names() {
        for name in ["python", "py", "python3"] {
            assert_eq!(language(name), Ok(Language::Python));
        }
        assert_eq!(language("node"), Ok(Language::Javascript));
        assert_eq!(language("sh"), Ok(Language::Bash));
        for bad in ["", "ruby", "PY", "py\0"] {
            assert_eq!(language(bad).unwrap_err().field.as_deref(), Some("language"));
        }
    }

    #[test]
    fn too_many_is_over_quota_and_no_interpreter_is_the_requests_fault() {
        let code = |kind| {
            let failure = Failure { kind, message: "no".into() };
            not_opened(GuestError::Failed(failure)).into_error().code
        };
        assert_eq!(code(FailureKind::Busy), Code::OverQuota);
        assert_eq!(code(FailureKind::NotFound), Code::InvalidRequest);
        assert_eq!(code(FailureKind::Other), Code::GuestFailed);
    }
}
