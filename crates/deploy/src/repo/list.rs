//! Which repositories have previews.

use pando_types::OrgId;
use pando_types::repo::{PreviewRepo, PreviewRepoList};

use crate::context::Context;
use crate::error::DeployError;

/// The repositories of an org's apps whose numbers are known.
pub(crate) async fn list(context: &Context, org: OrgId) -> Result<PreviewRepoList, DeployError> {
    let all = context.store.repo_list(org).await?;
    let repos = all.into_iter().map(|(repo, enabled)| PreviewRepo {
        github_repo_id: repo.number,
        repo_full_name: repo.full_name,
        enabled,
    });
    Ok(PreviewRepoList { repos: repos.collect() })
}
