//! Who calls.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Problem;
use crate::forge::Inner;

/// The login behind the token.
pub(super) const TOKEN_LOGIN: &str = "pando[bot]";

/// Whether a call came with the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// It did.
    Token,
    /// It came with none.
    Anonymous,
}

impl Caller {
    /// Refuses a call that needs the token.
    pub(super) fn may_write(self) -> Result<(), Problem> {
        match self {
            Self::Token => Ok(()),
            Self::Anonymous => Err(Problem::RequiresAuthentication),
        }
    }
}

/// Middleware: tells who calls, and refuses a wrong token whatever is asked.
pub(super) async fn identify(
    State(forge): State<Arc<Inner>>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match request.headers().get(header::AUTHORIZATION).map(|value| value.to_str()) {
        None => Caller::Anonymous,
        Some(Ok(value)) if is_token(value, &forge.token) => Caller::Token,
        Some(_) => return Problem::BadCredentials.into_response(),
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn is_token(value: &str, token: &str) -> bool {
    value.split_once(' ').is_some_and(|(scheme, given)| {
        ["bearer", "token"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) && given == token
    })
}

/// Middleware: GitHub turns away whoever does not say what program it is.
pub(super) async fn demand_user_agent(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::USER_AGENT) {
        return next.run(request).await;
    }
    let text = "Request forbidden by administrative rules. \
                Please make sure your request has a User-Agent header.\n";
    (StatusCode::FORBIDDEN, text).into_response()
}
