//! Switching previews on and off for all of an org's apps of a repository.

use std::collections::BTreeSet;

use pando_store::{AppRow, Insert, RepoRow, Tx};
use pando_types::limits::MAX_REPOSITORY_NUMBER;
use pando_types::repo::{EnablePreviewRepo, PreviewRepo};
use pando_types::{OrgId, PublicError};

use super::apps;
use crate::context::{Context, Effects};
use crate::error::DeployError;
use crate::forge::is_full_name;

/// Switches previews on, from the next pull request's event on.
pub(crate) async fn enable(
    context: &Context,
    org: OrgId,
    request: EnablePreviewRepo,
) -> Result<PreviewRepo, DeployError> {
    let number = u64::try_from(request.github_repo_id)
        .ok()
        .filter(|number| (1..=MAX_REPOSITORY_NUMBER).contains(number));
    let number = number.ok_or_else(|| {
        PublicError::invalid(
            "github_repo_id",
            format!("github_repo_id is a number from 1 to {MAX_REPOSITORY_NUMBER}"),
        )
    })?;
    let mut tx = context.store.begin().await?;
    if let Some(full_name) = &request.repo_full_name {
        if !is_full_name(full_name) {
            let message = "repo_full_name has the form owner/repo";
            return Err(PublicError::invalid("repo_full_name", message).into());
        }
        learn(&mut tx, org, number, full_name).await?;
    }
    let apps = apps(&mut tx, org, number).await?;
    let known = tx.repo_list_numbered(org, number).await?;
    switch(&mut tx, apps, true).await?;
    context.commit(tx, Effects::default()).await?;
    let full_name = known.into_iter().next().map(|repo| repo.full_name).unwrap_or_default();
    Ok(PreviewRepo { github_repo_id: number, repo_full_name: full_name, enabled: true })
}

/// Switches previews off; those that are there stay until their pull requests close.
pub(crate) async fn disable(context: &Context, org: OrgId, number: u64) -> Result<(), DeployError> {
    let mut tx = context.store.begin().await?;
    let apps = apps(&mut tx, org, number).await?;
    switch(&mut tx, apps, false).await?;
    Ok(context.commit(tx, Effects::default()).await?)
}

async fn switch(tx: &mut Tx, apps: Vec<AppRow>, on: bool) -> Result<(), DeployError> {
    for app in apps.into_iter().filter(|app| app.previews != on) {
        // Kept, since this transaction read it.
        let _ = tx.app_change(&AppRow { previews: on, ..app }).await?;
    }
    Ok(())
}

/// Takes the user's word for the number of a repository that no webhook has told of yet.
async fn learn(tx: &mut Tx, org: OrgId, number: u64, full_name: &str) -> Result<(), DeployError> {
    let wanted = full_name.to_ascii_lowercase();
    let of = |key: &str| key.split_once('/').is_some_and(|(_, path)| path == wanted);
    let all = tx.app_list_repo_keys(org).await?;
    let keys: BTreeSet<String> =
        all.into_iter().map(|(_, key)| key).filter(|key| of(key)).collect();
    let known = tx.repo_list_numbered(org, number).await?;
    if keys.is_empty() || known.iter().any(|repo| keys.contains(&repo.key)) {
        return Ok(());
    }
    for key in keys {
        let repo = RepoRow { key, number, full_name: full_name.to_owned() };
        if tx.repo_insert(org, &repo).await? == Insert::Exists {
            let message = format!("{full_name} is known by another number than {number}");
            return Err(PublicError::invalid("github_repo_id", message)
                .hint("`GET /v1/preview-repos` lists the numbers that are known")
                .into());
        }
    }
    Ok(())
}
