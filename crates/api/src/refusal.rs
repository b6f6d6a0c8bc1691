//! The one place where a refusal or a failure becomes a response: status, JSON
//! body, `Retry-After`. Handlers, extractors and fallbacks all come through here,
//! so a client meets one shape of error whatever went wrong.

use std::any::Any;

use axum::Json;
use axum::extract::OriginalUri;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pando_node::guest::GuestError;
use pando_store::StoreError;
use pando_types::{Code, PublicError};

/// An error on its way out.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    status: StatusCode,
    error: PublicError,
}

impl Refused {
    /// The same error under a status that no [`Code`] stands for.
    pub fn with_status(status: StatusCode, error: PublicError) -> Self {
        Self { status, error }
    }

    /// What the client will read.
    #[must_use]
    pub fn into_error(self) -> PublicError {
        self.error
    }
}

impl From<PublicError> for Refused {
    fn from(error: PublicError) -> Self {
        let status =
            StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, error }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.error.body())).into_response();
        if let Some(secs) = self.error.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            // RFC 9110, 15.5.22: the answer names what to upgrade to.
            let protocol = HeaderValue::from_static("websocket");
            response.headers_mut().insert(header::UPGRADE, protocol);
        }
        response
    }
}

/// The store's error: the chain goes to the log here, the client gets the public side.
pub fn store_failed(error: StoreError) -> Refused {
    tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
    PublicError::from(&error).into()
}

/// A guest's answer that was no success: the chain goes to the log here, the
/// client gets the public side.
pub fn guest_failed(error: GuestError) -> Refused {
    let public = PublicError::from(&error);
    if public.code.status() >= 500 && !matches!(error, GuestError::NoRoom(_)) {
        tracing::warn!(error = &error as &dyn std::error::Error, "the guest failed");
    }
    public.into()
}

/// The same, where what makes no sense to the guest is the request's `field`.
pub fn guest_failed_at(field: &'static str) -> impl FnOnce(GuestError) -> Refused {
    move |error| {
        let mut refused = guest_failed(error);
        if refused.error.code == Code::InvalidRequest {
            refused.error.field = Some(field.to_owned());
        }
        refused
    }
}

/// No route has this path.
pub async fn no_route(method: Method, OriginalUri(uri): OriginalUri) -> Refused {
    let message = format!("no route `{method} {}`", crate::trace::printable_path(uri.path()));
    PublicError::new(Code::NotFound, message).hint("`/openapi.json` lists every route").into()
}

/// The path has routes, but none for this method (405; axum adds `Allow`).
pub async fn no_method(method: Method, OriginalUri(uri): OriginalUri) -> Refused {
    let path = crate::trace::printable_path(uri.path());
    let message = format!("`{path}` does not take {method}");
    let error = PublicError::new(Code::InvalidRequest, message)
        .hint("the `Allow` header names the methods it takes");
    Refused::with_status(StatusCode::METHOD_NOT_ALLOWED, error)
}

/// A handler panicked. The panic hook has printed where.
pub fn panicked(_payload: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    Refused::from(PublicError::internal()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::session::{Failure, FailureKind};

    #[test]
    fn a_refusal_has_its_status_and_retry_after() {
        let error = PublicError::new(Code::Unavailable, "no room").retry_after(5);
        let response = Refused::from(error).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    }

    #[test]
    fn what_makes_no_sense_to_a_guest_is_named() {
        let field = |kind| {
            let failure = Failure { kind, message: "no".into() };
            guest_failed_at("path")(GuestError::Failed(failure)).into_error().field
        };
        assert_eq!(field(FailureKind::Invalid).as_deref(), Some("path"));
        assert_eq!(field(FailureKind::NotFound), None);
    }

    #[tokio::test]
    async fn an_unknown_route_is_named_without_the_id_in_it() {
        let uri = "/v1/sandboxes/6f1c1f3e-8f57-4b5e-9a51-6d1f0d5a7c11/nope".parse().unwrap();
        let refused = no_route(Method::GET, OriginalUri(uri)).await;
        assert_eq!(refused.into_error().message, "no route `GET /v1/sandboxes/6f1c1f3e/nope`");
    }
}
