//! `POST /v1/apps`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use pando_node::held::Held;
use pando_types::app::{App, CreateApp};
use pando_types::{AppId, OrgId, PublicError};

use crate::Api;
use crate::auth::Caller;
use crate::idempotency::{Create, IdempotencyKey, Once};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Makes an app of a repository and deploys the head of its branch. `url` is its for life.
#[utoipa::path(
    post, path = "/apps", tag = "apps", operation_id = "app_create",
    params(IdempotencyKey), request_body = CreateApp,
    responses((status = 201, body = App), Refusals)
)]
pub async fn create(
    State(api): State<Api>,
    caller: Caller,
    once: Once<CreateApp>,
) -> Result<Response, Refused> {
    let (request, repeat) = once.apart();
    let org = caller.org;
    repeat.run(&api.repeats, org, Wanted { api: api.clone(), org, request }).await
}

struct Wanted {
    api: Api,
    org: OrgId,
    request: Held<CreateApp>,
}

impl Create for Wanted {
    type Id = AppId;
    type Made = App;
    const STATUS: StatusCode = StatusCode::CREATED;

    fn id() -> AppId {
        AppId::new()
    }

    async fn make(self, id: AppId) -> Result<App, PublicError> {
        let (request, _held) = self.request.apart();
        self.api.deploy.app_create(id, self.org, request).await
    }

    async fn made(&self, id: AppId) -> Result<Option<App>, PublicError> {
        self.api.deploy.app_made(self.org, id).await
    }
}
