//! `/repos/{owner}/{repo}`: the repository itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::Problem;
use crate::forge::Inner;
use crate::{RepoName, shape};

pub(super) async fn get(
    State(forge): State<Arc<Inner>>,
    Path((owner, repo)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let state = forge.state();
    let row = state.repo(&RepoName::new(&owner, &repo)?)?;
    let parent = row.parent.as_ref().and_then(|parent| state.repo(parent).ok());
    Ok(Json(shape::full_repository(&forge.url, row, parent)))
}
