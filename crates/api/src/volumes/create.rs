//! `POST /v1/volumes`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use pando_node::held::Held;
use pando_types::volume::{CreateVolume, Volume};
use pando_types::{OrgId, PublicError, VolumeId};

use crate::Api;
use crate::auth::Caller;
use crate::idempotency::{Create, IdempotencyKey, Once};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Makes a volume: a disk with an empty ext4, that outlives the sandboxes it is attached to.
///
/// `volumes` of a create attaches it. One sandbox at a time writes to it; copies to read may be
/// had meanwhile. What is made of a sandbox (by a fork or a snapshot) has a copy of its volumes as
/// they were: what is written to that is gone with it. 409: the name is taken. 507: there is no
/// disk that it could be filled on.
#[utoipa::path(
    post, path = "/volumes", tag = "volumes", operation_id = "volume_create",
    params(IdempotencyKey), request_body = CreateVolume,
    responses((status = 201, body = Volume), Refusals)
)]
pub async fn create(
    State(api): State<Api>,
    caller: Caller,
    once: Once<CreateVolume>,
) -> Result<Response, Refused> {
    let (request, repeat) = once.apart();
    let org = caller.org;
    repeat.run(&api.repeats, org, Wanted { api: api.clone(), org, request }).await
}

struct Wanted {
    api: Api,
    org: OrgId,
    request: Held<CreateVolume>,
}

impl Create for Wanted {
    type Id = VolumeId;
    type Made = Volume;
    const STATUS: StatusCode = StatusCode::CREATED;

    fn id() -> VolumeId {
        VolumeId::new()
    }

    async fn make(self, id: VolumeId) -> Result<Volume, PublicError> {
        let (request, _held) = self.request.apart();
        self.api.sandboxes.volume_create(id, self.org, request).await
    }

    async fn made(&self, id: VolumeId) -> Result<Option<Volume>, PublicError> {
        self.api.sandboxes.volume_made(self.org, id).await
    }
}
