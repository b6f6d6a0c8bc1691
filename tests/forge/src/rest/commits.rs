//! `/repos/{owner}/{repo}/commits/{ref}`: the commit that a branch, tag or id stands for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::Problem;
use crate::forge::Inner;
use crate::{RepoName, shape};

pub(super) async fn get(
    State(forge): State<Arc<Inner>>,
    Path((owner, repo, revision)): Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    let name = RepoName::new(&owner, &repo)?;
    let git = forge.repository(&name)?;
    let sha = git.resolve(&revision).await?.ok_or(Problem::NoCommit(revision))?;
    Ok(Json(shape::commit(&forge.url, &name, &git.show(&sha).await?)))
}
