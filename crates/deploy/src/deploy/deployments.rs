//! What the API asks about deployments.

use futures_util::stream::BoxStream;
use pando_node::held::{Account, Held};
use pando_store::DeploymentRow;
use pando_types::app::{CreateDeployment, Deployment, Rollback};
use pando_types::page::{Cursor, List, PageRequest};
use pando_types::{AppId, DeploymentId, OrgId, PublicError};

use super::Deploy;
use crate::app;
use crate::deployment::log::{self, LogLine};
use crate::deployment::{again, order, view};
use crate::error::DeployError;

impl Deploy {
    /// Deploys a branch, a commit, or the head of what the app follows, under this
    /// new id. Older deployments of the app that are under way stop.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound),
    /// [`Code::InvalidRequest`](pando_types::Code::InvalidRequest),
    /// [`Code::Conflict`](pando_types::Code::Conflict) while it is being removed.
    pub async fn deployment_create(
        &self,
        id: DeploymentId,
        org: OrgId,
        app: AppId,
        request: CreateDeployment,
    ) -> Result<Deployment, PublicError> {
        let row = order::place(&self.context, id, org, app, request).await?;
        Ok(view::deployment(&row))
    }

    /// What became of a deployment's creation whose end nobody heard. `None` when
    /// it was never made.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn deployment_made(
        &self,
        org: OrgId,
        id: DeploymentId,
    ) -> Result<Option<Deployment>, PublicError> {
        let row = self.context.store.deployment_get(id).await.map_err(DeployError::from)?;
        Ok(row.filter(|row| row.org == org).map(|row| view::deployment(&row)))
    }

    /// Goes back to an earlier deployment, as it was when it was ready, under this new id: the
    /// one before that which is live, or the one that is named.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound);
    /// [`Code::Conflict`](pando_types::Code::Conflict) when there is none to go back to.
    pub async fn app_rollback(
        &self,
        id: DeploymentId,
        org: OrgId,
        app: AppId,
        request: Rollback,
    ) -> Result<Deployment, PublicError> {
        let row = again::rollback(&self.context, id, org, app, &request).await?;
        Ok(view::deployment(&row))
    }

    /// Starts what is live anew, with the environment that the app has now and without a
    /// build, under this new id. It serves until the new one does.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound);
    /// [`Code::Conflict`](pando_types::Code::Conflict) when nothing is live.
    pub async fn app_restart(
        &self,
        id: DeploymentId,
        org: OrgId,
        app: AppId,
    ) -> Result<Deployment, PublicError> {
        let row = again::restart(&self.context, id, org, app).await?;
        Ok(view::deployment(&row))
    }

    /// An app's deployments, newest first.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn deployment_list(
        &self,
        org: OrgId,
        app: AppId,
        page: PageRequest<DeploymentId>,
    ) -> Result<List<Deployment>, PublicError> {
        let app = app::find::one(&self.context, org, app).await?;
        let before = page.after.map(|cursor| cursor.id);
        let rows = self.context.store.deployment_list(app.id, before, page.rows()).await;
        let rows = rows.map_err(DeployError::from)?;
        let place = |row: &DeploymentRow| Cursor { created: row.created, id: row.id };
        Ok(List::of(rows, &page, place, view::deployment))
    }

    /// One deployment, and its log so far, which is held for `account`.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound);
    /// [`Code::Unavailable`](pando_types::Code::Unavailable) when there is no room for the log.
    pub async fn deployment_get(
        &self,
        org: OrgId,
        app: AppId,
        id: DeploymentId,
        account: &Account,
    ) -> Result<(Deployment, Held<Vec<u8>>), PublicError> {
        let row = self.deployment(org, app, id).await?;
        let _page = account.take(log::PAGE_BYTES).map_err(PublicError::from)?;
        let mut log = Held::nothing(account);
        let keep = |text: &str| Ok(log.push(text.as_bytes()).map_err(PublicError::from)?);
        self.context.logs.read::<DeployError>(row.id, keep).await?;
        Ok((view::deployment(&row), log))
    }

    /// A deployment's log from its start, then live; it ends when the deployment has.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound); the stream ends in an error when the rows
    /// cannot be read.
    pub async fn log_follow(
        &self,
        org: OrgId,
        app: AppId,
        id: DeploymentId,
    ) -> Result<BoxStream<'static, Result<LogLine, PublicError>>, PublicError> {
        let row = self.deployment(org, app, id).await?;
        Ok(self.context.logs.follow(row.id))
    }

    async fn deployment(
        &self,
        org: OrgId,
        app: AppId,
        id: DeploymentId,
    ) -> Result<DeploymentRow, DeployError> {
        let app = app::find::one(&self.context, org, app).await?;
        let row = self.context.store.deployment_get(id).await?.filter(|row| row.app == app.id);
        row.ok_or_else(|| PublicError::not_found("deployment", id).into())
    }
}
