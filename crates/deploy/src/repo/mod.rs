//! Repositories by the number that their forge knows them by, which webhooks tell. What is asked of
//! one is done to the org's apps of it, all of them or none.

pub(crate) mod list;
pub(crate) mod preview_env;
pub(crate) mod switch;

use std::collections::BTreeSet;

use pando_store::{AppRow, RepoRow, StoreError, Tx};
use pando_types::{OrgId, PublicError};

use crate::error::DeployError;
use crate::forge::Repository;

/// Keeps the number of a repository that a forge speaks of, for those who have apps of it.
pub(crate) async fn seen(
    tx: &mut Tx,
    repository: &Repository,
    keys: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let Some(number) = repository.id else { return Ok(()) };
    for key in keys {
        let full_name = repository.full_name.clone();
        tx.repo_put_for_all(&RepoRow { key: key.clone(), number, full_name }).await?;
    }
    Ok(())
}

/// The org's kept apps of the repository with this number; there is one at least.
async fn apps(tx: &mut Tx, org: OrgId, number: u64) -> Result<Vec<AppRow>, DeployError> {
    let mut apps = Vec::new();
    for repo in tx.repo_list_numbered(org, number).await? {
        let all = tx.app_list_repo(&repo.key).await?;
        apps.extend(all.into_iter().filter(|app| app.org == org));
    }
    if apps.is_empty() { Err(unknown(number).into()) } else { Ok(apps) }
}

fn unknown(number: u64) -> PublicError {
    PublicError::not_found("repository of an app", number).hint(
        "make an app of the repository first; its number is known from its first webhook on, or \
         once `POST /v1/preview-repos` names it with `repo_full_name`",
    )
}
