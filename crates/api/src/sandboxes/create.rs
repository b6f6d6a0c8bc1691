//! `POST /v1/sandboxes`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pando_types::PublicError;
use pando_types::sandbox::{CreateSandbox, Sandbox};

use crate::Api;
use crate::auth::Caller;
use crate::extract::JsonBody;
use crate::later::not_yet;
use crate::openapi::Refusals;
use crate::refusal::Refused;

/// Restores a new sandbox from a template; answers when its agent does.
///
/// 503 with `Retry-After` and 507 mean that nothing was made.
#[utoipa::path(
    post, path = "/sandboxes", tag = "sandboxes", request_body = CreateSandbox,
    responses((status = 201, body = Sandbox), Refusals)
)]
pub async fn create(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(request): JsonBody<CreateSandbox>,
) -> Result<(StatusCode, Json<Sandbox>), Refused> {
    refuse_later_fields(&request)?;
    let sandbox = api.sandboxes.create(caller.org, None, request).await?;
    Ok((StatusCode::CREATED, Json(sandbox)))
}

/// A request for what does not exist yet must not be answered with something else.
fn refuse_later_fields(request: &CreateSandbox) -> Result<(), PublicError> {
    let named = |field: &str, what: &str| PublicError { field: Some(field.into()), ..not_yet(what) };
    if request.from_snapshot.is_some() {
        return Err(named("from_snapshot", "snapshots"));
    }
    if request.volumes.as_ref().is_some_and(|volumes| !volumes.is_empty()) {
        return Err(named("volumes", "volumes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_types::Code;
    use serde_json::json;

    #[test]
    fn snapshots_and_volumes_are_refused_by_name() {
        let refused = |request| {
            let request: CreateSandbox = serde_json::from_value(request).unwrap();
            refuse_later_fields(&request).map_err(|error| (error.code, error.field))
        };
        let named = |field: &str| Err((Code::NotImplemented, Some(field.to_owned())));
        assert_eq!(refused(json!({"from_snapshot": "x"})), named("from_snapshot"));
        assert_eq!(refused(json!({"volumes": [{"name": "v"}]})), named("volumes"));
        assert_eq!(refused(json!({"volumes": [], "template": "base"})), Ok(()));
    }
}
