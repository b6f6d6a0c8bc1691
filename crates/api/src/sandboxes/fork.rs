//! `POST /v1/sandboxes/{id}/fork`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use pando_node::held::Held;
use pando_types::sandbox::Sandbox;
use pando_types::snapshot::Fork;
use pando_types::{OrgId, PublicError, SandboxId};

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::idempotency::{Create, IdempotencyKey, OptionalOnce};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Makes a sandbox that goes on from this moment of another; answers when its agent does.
///
/// The child has its parent's memory, processes and files, and an identity of its own: id, random
/// numbers, clock, network. The parent runs on, its connections too; the child's are reset. It lives
/// as long as its parent was to, counted from now. 429 and 503 with `Retry-After`, and 507, mean that
/// nothing was made.
#[utoipa::path(
    post, path = "/sandboxes/{id}/fork", tag = "sandboxes", operation_id = "sandbox_fork",
    params(("id" = String, Path, format = Uuid), IdempotencyKey), request_body = Option<Fork>,
    responses((status = 201, body = Sandbox), Refusals)
)]
pub async fn fork(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    OptionalOnce(once): OptionalOnce<Fork>,
) -> Result<Response, Refused> {
    let parent = sandbox_id(&id)?;
    let (request, repeat) = once.apart();
    let org = caller.org;
    repeat.run(&api.repeats, org, Wanted { api: api.clone(), org, parent, request }).await
}

struct Wanted {
    api: Api,
    org: OrgId,
    parent: SandboxId,
    request: Held<Fork>,
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
        self.api.sandboxes.fork(id, self.org, self.parent, request).await
    }

    async fn made(&self, id: SandboxId) -> Result<Option<Sandbox>, PublicError> {
        self.api.sandboxes.made(self.org, id).await
    }
}
