//! `POST /v1/apps/{id}/rollback`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use pando_node::held::Held;
use pando_types::app::{Deployment, Rollback};
use pando_types::{AppId, DeploymentId, OrgId, PublicError};

use super::app_id;
use crate::Api;
use crate::auth::Caller;
use crate::extract::UrlPath;
use crate::idempotency::{Create, IdempotencyKey, OptionalOnce};
use crate::refusal::Refused;
use crate::refusals::Refusals;

/// Goes back to an earlier deployment, as it was when it was ready: its machine, with the
/// environment that it had. Nothing is built, and nothing released.
#[utoipa::path(
    post, path = "/apps/{id}/rollback", tag = "deployments", operation_id = "app_rollback",
    params(("id" = String, Path, format = Uuid), IdempotencyKey), request_body = Option<Rollback>,
    responses((status = 202, body = Deployment), Refusals)
)]
pub async fn rollback(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    OptionalOnce(once): OptionalOnce<Rollback>,
) -> Result<Response, Refused> {
    let app = app_id(&id)?;
    let (request, repeat) = once.apart();
    let org = caller.org;
    repeat.run(&api.repeats, org, Wanted { api: api.clone(), org, app, request }).await
}

struct Wanted {
    api: Api,
    org: OrgId,
    app: AppId,
    request: Held<Rollback>,
}

impl Create for Wanted {
    type Id = DeploymentId;
    type Made = Deployment;
    const STATUS: StatusCode = StatusCode::ACCEPTED;

    fn id() -> DeploymentId {
        DeploymentId::new()
    }

    async fn make(self, id: DeploymentId) -> Result<Deployment, PublicError> {
        let (request, _held) = self.request.apart();
        self.api.deploy.app_rollback(id, self.org, self.app, request).await
    }

    async fn made(&self, id: DeploymentId) -> Result<Option<Deployment>, PublicError> {
        self.api.deploy.deployment_made(self.org, id).await
    }
}
