//! What the API asks about apps themselves.

use std::time::Duration;

use pando_guest_protocol::log::LogQuery;
use pando_guest_protocol::session::Exec;
use pando_node::held::Account;
use pando_store::{AppRow, Listed};
use pando_types::app::{App, CreateApp, DeployKey, UpdateApp};
use pando_types::page::{Cursor, List, PageRequest};
use pando_types::{AppId, OrgId, PublicError, SandboxId};

use super::Deploy;
use crate::app;
use crate::deployment::once;
use crate::error::DeployError;
use crate::run_log::{self, RunLog};

impl Deploy {
    /// Makes an app of this new id, and deploys the head of its branch.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`](pando_types::Code::InvalidRequest) by field;
    /// [`Code::Conflict`](pando_types::Code::Conflict) for a name that is taken.
    pub async fn app_create(
        &self,
        id: AppId,
        org: OrgId,
        request: CreateApp,
    ) -> Result<App, PublicError> {
        let row = app::create::create(&self.context, id, org, request).await?;
        Ok(self.view(&row))
    }

    /// What became of an app's creation whose end nobody heard: the app, also when
    /// it was removed since. `None` when it was never made.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn app_made(&self, org: OrgId, id: AppId) -> Result<Option<App>, PublicError> {
        let row = self.context.store.app_get(id).await.map_err(DeployError::from)?;
        Ok(row.filter(|row| row.org == org).map(|row| self.view(&row)))
    }

    /// One app or preview.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn app_get(&self, org: OrgId, id: AppId) -> Result<App, PublicError> {
        Ok(self.view(&app::find::one(&self.context, org, id).await?))
    }

    /// An org's apps, its previews among them, or its previews alone; oldest first.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn app_list(
        &self,
        org: OrgId,
        which: Listed,
        page: PageRequest<AppId>,
    ) -> Result<List<App>, PublicError> {
        let rows = self.context.store.app_list(org, which, page.after, page.rows()).await;
        let rows = rows.map_err(DeployError::from)?;
        let place = |row: &AppRow| Cursor { created: row.created, id: row.id };
        Ok(List::of(rows, &page, place, |row| self.view(row)))
    }

    /// Changes what is asked of an app and its previews, from the next deployment on.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound),
    /// [`Code::InvalidRequest`](pando_types::Code::InvalidRequest) by field;
    /// [`Code::Conflict`](pando_types::Code::Conflict) for a preview, and for an app that is being
    /// removed.
    pub async fn app_update(
        &self,
        org: OrgId,
        id: AppId,
        change: UpdateApp,
    ) -> Result<App, PublicError> {
        Ok(self.view(&app::update::update(&self.context, org, id, change).await?))
    }

    /// The public half of the key with which an app's repository is read over ssh.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound) also where it has none.
    pub async fn deploy_key_get(&self, org: OrgId, id: AppId) -> Result<DeployKey, PublicError> {
        Ok(app::git_access::key_get(&self.context, org, id).await?)
    }

    /// Makes that key, unless there is one.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound);
    /// [`Code::Conflict`](pando_types::Code::Conflict) for a preview, for an address that is not
    /// one of ssh, and for an app that is being removed.
    pub async fn deploy_key_make(&self, org: OrgId, id: AppId) -> Result<DeployKey, PublicError> {
        Ok(app::git_access::key_make(&self.context, org, id).await?)
    }

    /// Forgets that key. Fine where there is none.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound);
    /// [`Code::Conflict`](pando_types::Code::Conflict) as for [`Deploy::deploy_key_make`].
    pub async fn deploy_key_forget(&self, org: OrgId, id: AppId) -> Result<(), PublicError> {
        Ok(app::git_access::key_forget(&self.context, org, id).await?)
    }

    /// Removes an app with its previews: their hosts lead nowhere when this
    /// returns, the rest follows. Of one that was removed there is nothing to do.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound) for an id that never was one of the org's
    /// apps.
    pub async fn app_delete(&self, org: OrgId, id: AppId) -> Result<(), PublicError> {
        Ok(app::remove::want(&self.context, org, id).await?)
    }

    /// The sandbox where an app is live.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound);
    /// [`Code::Conflict`](pando_types::Code::Conflict) where nothing is live.
    pub async fn app_sandbox(&self, org: OrgId, app: AppId) -> Result<SandboxId, PublicError> {
        Ok(once::sandbox(&app::find::one(&self.context, org, app).await?)?)
    }

    /// What runs a command once where an app is live, in its folder and with the environment
    /// of its processes (but `PORT`), and the sandbox that is to be told.
    ///
    /// # Errors
    /// As [`Deploy::app_sandbox`].
    pub async fn app_command(
        &self,
        org: OrgId,
        app: AppId,
        argv: Vec<String>,
        timeout: Duration,
    ) -> Result<(SandboxId, Exec), PublicError> {
        let app = app::find::one(&self.context, org, app).await?;
        let told = once::command(&self.context, &app, argv, timeout).await?;
        Ok((told.sandbox, told.exec))
    }

    /// What the processes of a live app have said, or say, without the secrets of its
    /// environment, which are held for `account`; an app that sleeps is woken.
    ///
    /// # Errors
    /// As [`Deploy::app_sandbox`]; [`Code::NotFound`](pando_types::Code::NotFound), by field, also
    /// for a process that what is live does not have;
    /// [`Code::Unavailable`](pando_types::Code::Unavailable) when there is no room; those of waking.
    pub async fn app_log(
        &self,
        org: OrgId,
        app: AppId,
        query: LogQuery,
        account: &Account,
    ) -> Result<RunLog, PublicError> {
        Ok(run_log::open(&self.context, org, app, query, account).await?)
    }

    fn view(&self, row: &AppRow) -> App {
        app::view::app(row, &self.context.urls)
    }
}
