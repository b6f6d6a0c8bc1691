//! `POST /v1/sandboxes`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use pando_node::held::Held;
use pando_types::sandbox::{CreateSandbox, Sandbox};
use pando_types::{OrgId, PublicError, SandboxId};

use crate::Api;
use crate::auth::Caller;
use crate::idempotency::{Create, IdempotencyKey, Once};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Restores a new sandbox from a template; answers when its agent does.
///
/// 429 and 503 with `Retry-After`, and 507, mean that nothing was made.
#[utoipa::path(
    post, path = "/sandboxes", tag = "sandboxes", operation_id = "sandbox_create",
    params(IdempotencyKey), request_body = CreateSandbox,
    responses((status = 201, body = Sandbox), Refusals)
)]
pub async fn create(
    State(api): State<Api>,
    caller: Caller,
    once: Once<CreateSandbox>,
) -> Result<Response, Refused> {
    let (request, repeat) = once.apart();
    let org = caller.org;
    repeat.run(&api.repeats, org, Wanted { api: api.clone(), org, request }).await
}

struct Wanted {
    api: Api,
    org: OrgId,
    request: Held<CreateSandbox>,
}

impl Create for Wanted {
    type Id = SandboxId;
    type Made = Sandbox;
    const STATUS: StatusCode = StatusCode::CREATED;

    fn id() -> SandboxId {
        SandboxId::new()
    }

    async fn make(self, id: SandboxId) -> Result<Sandbox, PublicError> {
        let (request, _held) = self.request.apart();
        self.api.sandboxes.create_as(id, self.org, None, request).await
    }

    async fn made(&self, id: SandboxId) -> Result<Option<Sandbox>, PublicError> {
        self.api.sandboxes.made(self.org, id).await
    }
}
