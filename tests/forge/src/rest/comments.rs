//! `/repos/{owner}/{repo}/issues/…/comments`: the comments under a pull request.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use pando_types::{Clock, SystemClock};
use serde_json::Value;

use super::Problem;
use super::caller::{Caller, TOKEN_LOGIN};
use super::page::Page;
use crate::forge::Inner;
use crate::state::Comment;
use crate::{RepoName, shape};

/// The most characters of a comment that GitHub takes.
const MAX_BODY_CHARS: usize = 65_536;

pub(super) async fn list(
    State(forge): State<Arc<Inner>>,
    Path((owner, repo, number)): Path<(String, String, String)>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let (name, number) = (RepoName::new(&owner, &repo)?, as_id(&number)?);
    let state = forge.state();
    let row = state.repo(&name)?;
    row.pull(number)?;
    let comments = row.comments.values().filter(|comment| comment.number == number);
    let items = comments.map(|comment| shape::comment(&forge.url, row, comment)).collect();
    let address = format!("{}/repos/{name}/issues/{number}/comments", forge.url);
    Ok(page.of(items, &address))
}

pub(super) async fn create(
    State(forge): State<Arc<Inner>>,
    Extension(caller): Extension<Caller>,
    Path((owner, repo, number)): Path<(String, String, String)>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.may_write()?;
    let (name, number) = (RepoName::new(&owner, &repo)?, as_id(&number)?);
    let mut state = forge.state();
    state.repo(&name)?.pull(number)?;
    let (body, id, now) = (text(&body)?, state.next_id(), SystemClock.now());
    let author = TOKEN_LOGIN.to_owned();
    let comment = Comment { id, number, author, body, created_at: now, updated_at: now };
    let row = state.repo_mut(&name)?;
    row.comments.insert(id, comment.clone());
    Ok((StatusCode::CREATED, Json(shape::comment(&forge.url, row, &comment))))
}

pub(super) async fn update(
    State(forge): State<Arc<Inner>>,
    Extension(caller): Extension<Caller>,
    Path((owner, repo, id)): Path<(String, String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    caller.may_write()?;
    let (name, id) = (RepoName::new(&owner, &repo)?, as_id(&id)?);
    let mut state = forge.state();
    let row = state.repo_mut(&name)?;
    let comment = row.comments.get_mut(&id).ok_or(Problem::NotFound)?;
    comment.body = text(&body)?;
    comment.updated_at = SystemClock.now();
    let comment = comment.clone();
    Ok(Json(shape::comment(&forge.url, row, &comment)))
}

fn as_id(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}

/// The text of the comment that a request brings.
fn text(request: &[u8]) -> Result<String, Problem> {
    let invalid = |code| Problem::Invalid { resource: "IssueComment", field: "body", code };
    let request: Value = serde_json::from_slice(request).map_err(|_| Problem::BadJson)?;
    match request.get("body") {
        None | Some(Value::Null) => Err(invalid("missing_field")),
        Some(Value::String(body)) if body.trim().is_empty() => Err(invalid("missing_field")),
        Some(Value::String(body)) if body.chars().count() <= MAX_BODY_CHARS => Ok(body.clone()),
        Some(_) => Err(invalid("invalid")),
    }
}
