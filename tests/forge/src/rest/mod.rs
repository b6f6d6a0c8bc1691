//! The REST calls that Pando makes of GitHub, at GitHub's paths. One file per resource.

mod caller;
mod collaborators;
mod comments;
mod commits;
mod page;
mod problem;
mod pulls;
mod repositories;
mod statuses;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};

use crate::forge::Inner;
use crate::record::record;
pub(crate) use problem::Problem;

/// Every call that the stand-in plays.
pub(crate) fn router(forge: &Arc<Inner>) -> Router {
    let repo = Router::new()
        .route("/", get(repositories::get))
        .route("/collaborators/{user}/permission", get(collaborators::permission))
        .route("/commits/{*revision}", get(commits::get))
        .route("/issues/{number}/comments", get(comments::list).post(comments::create))
        .route("/issues/comments/{id}", patch(comments::update))
        .route("/pulls", get(pulls::list))
        .route("/pulls/{number}", get(pulls::get))
        .route("/statuses/{sha}", post(statuses::create));
    Router::new()
        .nest("/repos/{owner}/{repo}", repo)
        .fallback(unplayed)
        .method_not_allowed_fallback(unplayed)
        .layer(from_fn_with_state(Arc::clone(forge), caller::identify))
        .layer(from_fn(caller::demand_user_agent))
        .layer(from_fn_with_state(Arc::clone(forge), record))
        .with_state(Arc::clone(forge))
}

/// GitHub may well answer this; the stand-in must not pretend to know how.
async fn unplayed(method: Method, uri: Uri) -> Response {
    let message = format!("the forge stand-in does not play {method} {}", uri.path());
    (StatusCode::NOT_IMPLEMENTED, axum::Json(serde_json::json!({ "message": message })))
        .into_response()
}
