//! What the API asks about an app's environment.

use pando_types::env::{EnvImported, EnvList, EnvScope, EnvSet, ImportEnv, SetEnv};
use pando_types::{AppId, OrgId, PublicError};

use super::Deploy;
use crate::app::env;

impl Deploy {
    /// The variables of an app, by name; of a preview, those that it has of its app. Secrets are
    /// masked.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn env_list(&self, org: OrgId, app: AppId) -> Result<EnvList, PublicError> {
        Ok(env::list::list(&self.context, org, app).await?)
    }

    /// Sets a variable, for the deployments that its scope names.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound);
    /// [`Code::InvalidRequest`](pando_types::Code::InvalidRequest) by field;
    /// [`Code::Conflict`](pando_types::Code::Conflict) for a preview, and for an app that is being
    /// removed.
    pub async fn env_set(
        &self,
        org: OrgId,
        app: AppId,
        key: &str,
        request: SetEnv,
    ) -> Result<EnvSet, PublicError> {
        Ok(env::change::set(&self.context, org, app, key, request).await?)
    }

    /// Takes a variable from the deployments that the scope names.
    ///
    /// # Errors
    /// As [`Deploy::env_set`]; [`Code::NotFound`](pando_types::Code::NotFound) also where they
    /// have none of that name.
    pub async fn env_unset(
        &self,
        org: OrgId,
        app: AppId,
        key: &str,
        scope: EnvScope,
    ) -> Result<(), PublicError> {
        Ok(env::change::unset(&self.context, org, app, key, scope).await?)
    }

    /// Sets every variable of a `.env` file, or none.
    ///
    /// # Errors
    /// As [`Deploy::env_set`]; a message about the file names the line.
    pub async fn env_import(
        &self,
        org: OrgId,
        app: AppId,
        request: &ImportEnv,
    ) -> Result<EnvImported, PublicError> {
        Ok(env::change::import(&self.context, org, app, request).await?)
    }
}
