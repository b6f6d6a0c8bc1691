//! `POST /v1/sandboxes/{id}/snapshots`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use pando_node::held::Held;
use pando_types::snapshot::{Snapshot, TakeSnapshot};
use pando_types::{OrgId, PublicError, SandboxId, SnapshotId};

use super::sandbox_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::idempotency::{Create, IdempotencyKey, OptionalOnce};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Takes a snapshot of a sandbox, running or asleep; answers when it is on the disk.
///
/// Memory, disks and devices are of one instant; the sandbox stands still for `pause_ms` and goes on.
/// `from_snapshot` of a create makes sandboxes of it. 507: there is no room for it.
#[utoipa::path(
    post, path = "/sandboxes/{id}/snapshots", tag = "snapshots", operation_id = "snapshot_create",
    params(("id" = String, Path, format = Uuid), IdempotencyKey), request_body = Option<TakeSnapshot>,
    responses((status = 201, body = Snapshot), Refusals)
)]
pub async fn snapshot(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    OptionalOnce(once): OptionalOnce<TakeSnapshot>,
) -> Result<Response, Refused> {
    let sandbox = sandbox_id(&id)?;
    let (request, repeat) = once.apart();
    let org = caller.org;
    repeat.run(&api.repeats, org, Wanted { api: api.clone(), org, sandbox, request }).await
}

struct Wanted {
    api: Api,
    org: OrgId,
    sandbox: SandboxId,
    request: Held<TakeSnapshot>,
}

impl Create for Wanted {
    type Id = SnapshotId;
    type Made = Snapshot;
    const STATUS: StatusCode = StatusCode::CREATED;

    fn id() -> SnapshotId {
        SnapshotId::new()
    }

    async fn make(self, id: SnapshotId) -> Result<Snapshot, PublicError> {
        let (request, _held) = self.request.apart();
        self.api.sandboxes.snapshot(id, self.org, self.sandbox, request).await
    }

    async fn made(&self, id: SnapshotId) -> Result<Option<Snapshot>, PublicError> {
        self.api.sandboxes.snapshot_made(self.org, id).await
    }
}
