//! A deployment that somebody asks for, made once.

use axum::http::StatusCode;
use axum::response::Response;
use pando_node::held::Held;
use pando_types::app::{CreateDeployment, Deployment, Rollback};
use pando_types::{AppId, DeploymentId, OrgId, PublicError};

use crate::Api;
use crate::auth::Caller;
use crate::idempotency::{Create, Repeat};
use crate::refusal::Refused;

/// What is asked for.
pub(in crate::apps) enum Asked {
    /// One of a commit.
    Deploy(CreateDeployment),
    /// One of what an earlier one made live.
    Rollback(Rollback),
}

/// Asks for it, unless a request with the same key did.
pub(in crate::apps) async fn place(
    api: &Api,
    caller: &Caller,
    app: AppId,
    asked: Held<Asked>,
    repeat: Repeat,
) -> Result<Response, Refused> {
    let org = caller.org;
    repeat.run(&api.repeats, org, Wanted { api: api.clone(), org, app, asked }).await
}

struct Wanted {
    api: Api,
    org: OrgId,
    app: AppId,
    asked: Held<Asked>,
}

impl Create for Wanted {
    type Id = DeploymentId;
    type Made = Deployment;
    const STATUS: StatusCode = StatusCode::ACCEPTED;

    fn id() -> DeploymentId {
        DeploymentId::new()
    }

    async fn make(self, id: DeploymentId) -> Result<Deployment, PublicError> {
        let Self { api, org, app, asked } = self;
        let (asked, _held) = asked.apart();
        match asked {
            Asked::Deploy(request) => api.deploy.deployment_create(id, org, app, request).await,
            Asked::Rollback(request) => api.deploy.app_rollback(id, org, app, request).await,
        }
    }

    async fn made(&self, id: DeploymentId) -> Result<Option<Deployment>, PublicError> {
        self.api.deploy.deployment_made(self.org, id).await
    }
}
