//! What the API asks about repositories.

use pando_types::env::{EnvImported, EnvList, EnvSet};
use pando_types::repo::{
    EnablePreviewRepo, ImportPreviewEnv, PreviewRepo, PreviewRepoList, SetPreviewEnv,
};
use pando_types::{OrgId, PublicError};

use super::Deploy;
use crate::repo::{list, preview_env, switch};

impl Deploy {
    /// The repositories of an org's apps whose numbers are known, by name.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn preview_repo_list(&self, org: OrgId) -> Result<PreviewRepoList, PublicError> {
        Ok(list::list(&self.context, org).await?)
    }

    /// Switches previews on for the org's apps of a repository.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound) where the org has no app of it;
    /// [`Code::InvalidRequest`](pando_types::Code::InvalidRequest) by field.
    pub async fn preview_repo_enable(
        &self,
        org: OrgId,
        request: EnablePreviewRepo,
    ) -> Result<PreviewRepo, PublicError> {
        Ok(switch::enable(&self.context, org, request).await?)
    }

    /// Switches them off; those that are there stay until their pull requests close.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn preview_repo_disable(&self, org: OrgId, number: u64) -> Result<(), PublicError> {
        Ok(switch::disable(&self.context, org, number).await?)
    }

    /// What the previews of a repository are given, by name. Secrets are masked.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound).
    pub async fn preview_env_list(&self, org: OrgId, number: u64) -> Result<EnvList, PublicError> {
        Ok(preview_env::list(&self.context, org, number).await?)
    }

    /// Sets a variable of them.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound);
    /// [`Code::InvalidRequest`](pando_types::Code::InvalidRequest) by field.
    pub async fn preview_env_set(
        &self,
        org: OrgId,
        number: u64,
        key: &str,
        request: SetPreviewEnv,
    ) -> Result<EnvSet, PublicError> {
        Ok(preview_env::set(&self.context, org, number, key, request).await?)
    }

    /// Takes a variable from them.
    ///
    /// # Errors
    /// [`Code::NotFound`](pando_types::Code::NotFound), also where they have none of that name.
    pub async fn preview_env_unset(
        &self,
        org: OrgId,
        number: u64,
        key: &str,
    ) -> Result<(), PublicError> {
        Ok(preview_env::unset(&self.context, org, number, key).await?)
    }

    /// Sets every variable of a `.env` file, or none.
    ///
    /// # Errors
    /// As [`Deploy::preview_env_set`]; a message about the file names the line.
    pub async fn preview_env_import(
        &self,
        org: OrgId,
        number: u64,
        request: &ImportPreviewEnv,
    ) -> Result<EnvImported, PublicError> {
        Ok(preview_env::import(&self.context, org, number, request).await?)
    }
}
