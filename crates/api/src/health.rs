//! Whether the server can do its work: `GET /healthz`, without a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use pando_types::api::Health;
use pando_types::{Code, PublicError};

use crate::Api;
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Whether sandboxes can be created yet. Clones share it; it only ever turns on.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on, creates are possible.
    pub fn mark_ready(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// 200 once sandboxes can be created; 503 before.
#[utoipa::path(
    get, path = "/healthz", tag = "server", operation_id = "server_health", security(()),
    responses((status = 200, body = Health), Refusals)
)]
pub async fn health(State(api): State<Api>) -> Result<Json<Health>, Refused> {
    if !api.readiness.is_ready() {
        let message = "not ready: the template is being prepared or sandboxes are being recovered";
        return Err(PublicError::new(Code::Unavailable, message).retry_after(5).into());
    }
    Ok(Json(Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        accelerator: api.node.accelerator().to_string(),
    }))
}
