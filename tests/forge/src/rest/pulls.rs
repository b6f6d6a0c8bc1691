//! `/repos/{owner}/{repo}/pulls`: pull requests.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::Problem;
use super::page::Page;
use crate::forge::Inner;
use crate::pull::Pull;
use crate::{RepoName, shape};

/// Which pull requests are wanted.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Wanted {
    /// Those that are open.
    #[default]
    Open,
    /// Those that are not.
    Closed,
    /// Both.
    All,
}

impl Wanted {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::All => "all",
        }
    }

    const fn takes(self, pull: &Pull) -> bool {
        match self {
            Self::Open => pull.is_open(),
            Self::Closed => !pull.is_open(),
            Self::All => true,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    state: Wanted,
}

pub(super) async fn list(
    State(forge): State<Arc<Inner>>,
    Path((owner, repo)): Path<(String, String)>,
    Query(filter): Query<Filter>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let name = RepoName::new(&owner, &repo)?;
    let state = forge.state();
    let row = state.repo(&name)?;
    // Newest first, as GitHub has it unless told otherwise.
    let pulls = row.pulls.values().rev().filter(|pull| filter.state.takes(pull));
    let items =
        pulls.map(|pull| shape::listed_pull_request(&forge.url, &state, row, pull)).collect();
    let address = format!("{}/repos/{name}/pulls?state={}", forge.url, filter.state.as_str());
    Ok(page.of(items, &address))
}

pub(super) async fn get(
    State(forge): State<Arc<Inner>>,
    Path((owner, repo, number)): Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    let name = RepoName::new(&owner, &repo)?;
    let number = number.parse().map_err(|_| Problem::NotFound)?;
    let state = forge.state();
    let row = state.repo(&name)?;
    Ok(Json(shape::pull_request(&forge.url, &state, row, row.pull(number)?)))
}
