//! The status of a commit.

use serde_json::{Value, json};

use super::{node_id, time, user};
use crate::RepoName;
use crate::state::Status;

/// The `status` object.
pub(crate) fn status(url: &str, repo: &RepoName, status: &Status) -> Value {
    json!({
        "id": status.id,
        "node_id": node_id("StatusContext", status.id),
        "url": format!("{url}/repos/{repo}/statuses/{}", status.sha),
        "avatar_url": null,
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": time(status.created_at),
        "updated_at": time(status.created_at),
        "creator": user(url, &status.author),
    })
}
