//! `POST /v1/sandboxes/{id}/fork-tree`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use pando_node::held::Held;
use pando_types::snapshot::{Children, ForkTree};
use pando_types::{OrgId, PublicError, SandboxId, TreeId};

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::idempotency::{Create, IdempotencyKey, Once};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Makes several sandboxes that go on from one moment of another, all or none; answers when all do.
///
/// Each has `fork_tree_id` in its metadata, by which `promote` finds its siblings. With `explore_ttl`
/// in the metadata, each is removed after so many seconds unless it is promoted.
#[utoipa::path(
    post, path = "/sandboxes/{id}/fork-tree", tag = "sandboxes", operation_id = "sandbox_fork_tree",
    params(("id" = String, Path, format = Uuid), IdempotencyKey), request_body = ForkTree,
    responses((status = 201, body = Children), Refusals)
)]
pub async fn fork_tree(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    once: Once<ForkTree>,
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
    request: Held<ForkTree>,
}

impl Create for Wanted {
    type Id = TreeId;
    type Made = Children;
    const STATUS: StatusCode = StatusCode::CREATED;

    fn id() -> TreeId {
        TreeId::new()
    }

    async fn make(self, id: TreeId) -> Result<Children, PublicError> {
        let (request, _held) = self.request.apart();
        self.api.sandboxes.fork_tree(id, self.org, self.parent, request).await
    }

    async fn made(&self, id: TreeId) -> Result<Option<Children>, PublicError> {
        self.api.sandboxes.tree_made(self.org, id).await
    }
}
