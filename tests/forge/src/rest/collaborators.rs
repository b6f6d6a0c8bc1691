//! `/repos/{owner}/{repo}/collaborators/{user}/permission`: what somebody may do.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::Problem;
use super::caller::Caller;
use crate::forge::Inner;
use crate::{RepoName, shape};

pub(super) async fn permission(
    State(forge): State<Arc<Inner>>,
    Extension(caller): Extension<Caller>,
    Path((owner, repo, user)): Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    // Not a write, but GitHub tells it only to those who may.
    caller.may_write()?;
    let state = forge.state();
    let permission = state.repo(&RepoName::new(&owner, &repo)?)?.permission(&user).as_str();
    let mut account = shape::user(&forge.url, &user);
    account["role_name"] = json!(permission);
    Ok(Json(json!({ "permission": permission, "role_name": permission, "user": account })))
}
