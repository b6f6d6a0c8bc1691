//! GitHub's refusals.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::ForgeError;

/// Where every refusal of GitHub's points to.
const DOCUMENTATION: &str = "https://docs.github.com/rest";

/// Why a call was not answered as asked.
#[derive(Debug)]
pub(crate) enum Problem {
    /// No such thing, or not for this caller.
    NotFound,
    /// Writing takes a token.
    RequiresAuthentication,
    /// The token is not the one.
    BadCredentials,
    /// The body is no JSON.
    BadJson,
    /// A commit that does not exist.
    NoCommit(String),
    /// A field that is missing or does not fit.
    Invalid { resource: &'static str, field: &'static str, code: &'static str },
    /// The body is larger than any that Pando has a reason to send.
    TooLarge,
    /// The stand-in itself failed; its log says why.
    Failed,
}

impl From<ForgeError> for Problem {
    fn from(error: ForgeError) -> Self {
        match error {
            ForgeError::BadName(_)
            | ForgeError::NoRepository(_)
            | ForgeError::NoPullRequest { .. } => Self::NotFound,
            other => {
                tracing::error!(error = %other, "a REST call failed");
                Self::Failed
            }
        }
    }
}

impl From<crate::GitError> for Problem {
    fn from(error: crate::GitError) -> Self {
        ForgeError::from(error).into()
    }
}

impl Problem {
    fn parts(&self) -> (StatusCode, Value) {
        let basic = |status: StatusCode, message: &str| {
            let number = status.as_u16().to_string();
            (
                status,
                json!({ "message": message, "documentation_url": DOCUMENTATION, "status": number }),
            )
        };
        match self {
            Self::NotFound => basic(StatusCode::NOT_FOUND, "Not Found"),
            Self::RequiresAuthentication => {
                basic(StatusCode::UNAUTHORIZED, "Requires authentication")
            }
            Self::BadCredentials => basic(StatusCode::UNAUTHORIZED, "Bad credentials"),
            Self::BadJson => basic(StatusCode::BAD_REQUEST, "Problems parsing JSON"),
            Self::NoCommit(sha) => {
                basic(StatusCode::UNPROCESSABLE_ENTITY, &format!("No commit found for SHA: {sha}"))
            }
            Self::Invalid { resource, field, code } => {
                let (status, mut body) =
                    basic(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
                body["errors"] = json!([{ "resource": resource, "field": field, "code": code }]);
                (status, body)
            }
            Self::TooLarge => basic(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
            Self::Failed => basic(StatusCode::INTERNAL_SERVER_ERROR, "Server Error"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, body) = self.parts();
        (status, Json(body)).into_response()
    }
}
