//! What the API asks about the cron of apps.

use pando_types::cron::AppCron;
use pando_types::page::List;
use pando_types::{AppId, OrgId, PublicError};

use super::Deploy;
use crate::cron::{ask, list};

impl Deploy {
    /// The cron of what is live of an app, by name.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn cron_list(&self, org: OrgId, app: AppId) -> Result<List<AppCron>, PublicError> {
        Ok(list::list(&self.context, org, app).await?)
    }

    /// Wants one run at once; it begins after this returns.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound);
    /// [`Code::Conflict`](pando_types::Code::Conflict) while it runs, and where nothing is live.
    pub async fn cron_run(
        &self,
        org: OrgId,
        app: AppId,
        name: &str,
    ) -> Result<AppCron, PublicError> {
        Ok(ask::ask(&self.context, org, app, name).await?)
    }
}
