//! `/repos/{owner}/{repo}/statuses/{sha}`: the status of a commit.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use pando_types::{Clock, SystemClock};
use serde_json::Value;

use super::Problem;
use super::caller::{Caller, TOKEN_LOGIN};
use crate::forge::Inner;
use crate::state::Status;
use crate::{RepoName, shape};

/// The states that a commit can be in.
const STATES: [&str; 4] = ["error", "failure", "pending", "success"];
/// The most characters of a description that GitHub takes.
const MAX_DESCRIPTION_CHARS: usize = 140;
/// The most statuses that a repository keeps; the oldest go first.
const MAX_STATUSES: usize = 5000;

pub(super) async fn create(
    State(forge): State<Arc<Inner>>,
    Extension(caller): Extension<Caller>,
    Path((owner, repo, sha)): Path<(String, String, String)>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.may_write()?;
    let name = RepoName::new(&owner, &repo)?;
    let git = forge.repository(&name)?;
    if git.resolve(&sha).await?.as_deref() != Some(sha.as_str()) {
        return Err(Problem::NoCommit(sha));
    }
    let request: Value = serde_json::from_slice(&body).map_err(|_| Problem::BadJson)?;
    let mut state = forge.state();
    let status = Status {
        id: state.next_id(),
        sha,
        author: TOKEN_LOGIN.to_owned(),
        state: text(&request, "state")?
            .filter(|state| STATES.contains(&state.as_str()))
            .ok_or_else(|| invalid("state"))?,
        context: text(&request, "context")?.unwrap_or_else(|| "default".to_owned()),
        description: text(&request, "description")?,
        target_url: text(&request, "target_url")?,
        created_at: SystemClock.now(),
    };
    if status.description.as_ref().is_some_and(|it| it.chars().count() > MAX_DESCRIPTION_CHARS) {
        return Err(invalid("description"));
    }
    let row = state.repo_mut(&name)?;
    if row.statuses.len() == MAX_STATUSES {
        row.statuses.remove(0);
    }
    row.statuses.push(status.clone());
    Ok((StatusCode::CREATED, Json(shape::status(&forge.url, &name, &status))))
}

fn invalid(field: &'static str) -> Problem {
    Problem::Invalid { resource: "Status", field, code: "invalid" }
}

fn text(request: &Value, field: &'static str) -> Result<Option<String>, Problem> {
    match request.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(field)),
    }
}
