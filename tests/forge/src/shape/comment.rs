//! A comment under a pull request.

use serde_json::{Value, json};

use super::{node_id, time, user};
use crate::state::{Comment, RepoRow};

/// The `issue-comment` object.
pub(crate) fn comment(url: &str, row: &RepoRow, comment: &Comment) -> Value {
    let Comment { id, number, author, body, .. } = comment;
    let api = format!("{url}/repos/{}", row.name);
    json!({
        "id": id,
        "node_id": node_id("IssueComment", id),
        "url": format!("{api}/issues/comments/{id}"),
        "html_url": format!("{url}/{}/pull/{number}#issuecomment-{id}", row.name),
        "issue_url": format!("{api}/issues/{number}"),
        "body": body,
        "user": user(url, author),
        "author_association": row.association(author),
        "created_at": time(comment.created_at),
        "updated_at": time(comment.updated_at),
        "performed_via_github_app": null,
    })
}
