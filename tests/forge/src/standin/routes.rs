//! The routes.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};

use super::{Done, NamePull, OpenPull, Refused};
use crate::forge::Inner;
use crate::repo::Repo;
use crate::{Delivery, ForgeError, demo};

pub(crate) fn router(forge: &Arc<Inner>) -> Router {
    Router::new()
        .route("/demo-repo", post(demo_repo))
        .route("/pulls", post(open_pull))
        .route("/pulls/close", post(close_pull))
        .route("/pulls/reopen", post(reopen_pull))
        .layer(from_fn(only_this_machine))
        .with_state(Arc::clone(forge))
}

async fn only_this_machine(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if peer.ip().is_loopback() {
        return next.run(request).await;
    }
    let error = "this route is for the machine the stand-in runs on".to_owned();
    (StatusCode::FORBIDDEN, Json(Refused { error })).into_response()
}

struct Refusal(ForgeError);

impl From<ForgeError> for Refusal {
    fn from(error: ForgeError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.0 {
            ForgeError::NoRepository(_)
            | ForgeError::NoBranch { .. }
            | ForgeError::NoPullRequest { .. } => StatusCode::NOT_FOUND,
            ForgeError::Io { .. } | ForgeError::Client(_) | ForgeError::Git(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            _ => StatusCode::CONFLICT,
        };
        (status, Json(Refused { error: self.0.to_string() })).into_response()
    }
}

type Answer = Result<Json<Done>, Refusal>;

fn done(repo: &Repo, number: Option<u64>, deliveries: Vec<Delivery>) -> Json<Done> {
    let (name, clone_url) = (repo.name().to_string(), repo.clone_url());
    Json(Done { repo: name, clone_url, number, deliveries })
}

/// The body is JSON, if an empty object: see the module's note on browsers.
async fn demo_repo(State(forge): State<Arc<Inner>>, Json(_): Json<serde_json::Value>) -> Answer {
    let repo = Repo::create(&forge, demo::NAME.parse()?, demo::FILES, demo::BRANCH).await?;
    repo.commit(demo::PROPOSED_BRANCH, demo::PROPOSED_FILES, demo::PROPOSED_MESSAGE).await?;
    Ok(done(&repo, None, Vec::new()))
}

async fn open_pull(State(forge): State<Arc<Inner>>, Json(wanted): Json<OpenPull>) -> Answer {
    let repo = Repo::open(&forge, wanted.repo.parse()?)?;
    let title = wanted.title.unwrap_or_else(|| format!("Merge {}", wanted.branch));
    let base = forge.state().repo(repo.name())?.default_branch.clone();
    let opened = repo.open_pull_request(&wanted.branch, &base, &title).await?;
    Ok(done(&repo, Some(opened.number), opened.deliveries))
}

async fn close_pull(State(forge): State<Arc<Inner>>, Json(wanted): Json<NamePull>) -> Answer {
    let repo = Repo::open(&forge, wanted.repo.parse()?)?;
    let deliveries = repo.close_pull_request(wanted.number).await?;
    Ok(done(&repo, Some(wanted.number), deliveries))
}

async fn reopen_pull(State(forge): State<Arc<Inner>>, Json(wanted): Json<NamePull>) -> Answer {
    let repo = Repo::open(&forge, wanted.repo.parse()?)?;
    let deliveries = repo.reopen_pull_request(wanted.number).await?;
    Ok(done(&repo, Some(wanted.number), deliveries))
}
