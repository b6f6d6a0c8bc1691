//! Whether the server can do its work: `GET /healthz`, without a key.

use axum::Json;
use axum::extract::State;
use pando_types::api::Health;
use pando_types::{Code, PublicError};

use crate::Api;
use crate::openapi::Refusals;
use crate::refusal::Refused;

/// 200 once sandboxes can be created; 503 before.
#[utoipa::path(
    get, path = "/healthz", tag = "server", security(()),
    responses((status = 200, body = Health), Refusals)
)]
pub async fn health(State(api): State<Api>) -> Result<Json<Health>, Refused> {
    if !api.node.is_ready() {
        let message = "not ready: the template is being prepared or sandboxes are being recovered";
        return Err(PublicError::new(Code::Unavailable, message).retry_after(5).into());
    }
    Ok(Json(Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        accelerator: api.node.accelerator().to_owned(),
    }))
}
