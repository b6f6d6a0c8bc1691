//! A pull request.

use serde_json::{Value, json};

use super::{node_id, repository, time, user};
use crate::pull::{Pull, PullState, Tip};
use crate::state::{RepoRow, State};

/// The `pull-request-simple` object, as in a list.
pub(crate) fn listed_pull_request(url: &str, state: &State, row: &RepoRow, pull: &Pull) -> Value {
    let number = pull.number;
    let (html, api) =
        (format!("{url}/{}/pull/{number}", row.name), format!("{url}/repos/{}", row.name));
    let (this, issue) = (format!("{api}/pulls/{number}"), format!("{api}/issues/{number}"));
    let statuses = format!("{api}/statuses/{}", pull.head.sha);
    let (closed_at, merged_at, merge_sha) = match &pull.state {
        PullState::Open => (None, None, None),
        PullState::Closed { at } => (Some(time(*at)), None, None),
        PullState::Merged { at, sha, .. } => (Some(time(*at)), Some(time(*at)), Some(sha)),
    };
    let mut object = json!({
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "number": number,
        "state": if pull.is_open() { "open" } else { "closed" },
        "locked": false,
        "draft": false,
        "title": pull.title,
        "body": null,
        "user": user(url, &pull.author),
        "author_association": row.association(&pull.author),
        "head": tip(url, state, &pull.head),
        "base": tip(url, state, &pull.base),
        "created_at": time(pull.created_at),
        "updated_at": time(pull.updated_at),
        "closed_at": closed_at,
        "merged_at": merged_at,
        "merge_commit_sha": merge_sha,
        "assignee": null,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": [],
        "milestone": null,
        "auto_merge": null,
        "active_lock_reason": null,
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
    });
    // Each address stands in the object itself, and again among its links.
    for (field, link, address) in [
        ("url", "self", this.clone()),
        ("html_url", "html", html),
        ("issue_url", "issue", issue.clone()),
        ("comments_url", "comments", format!("{issue}/comments")),
        ("commits_url", "commits", format!("{this}/commits")),
        ("review_comments_url", "review_comments", format!("{this}/comments")),
        ("review_comment_url", "review_comment", format!("{api}/pulls/comments{{/number}}")),
        ("statuses_url", "statuses", statuses),
    ] {
        object["_links"][link] = json!({ "href": address });
        object[field] = json!(address);
    }
    object
}

/// The `pull-request` object: alone, or in an event.
pub(crate) fn pull_request(url: &str, state: &State, row: &RepoRow, pull: &Pull) -> Value {
    let mut object = listed_pull_request(url, state, row, pull);
    let merged_by = match &pull.state {
        PullState::Merged { by, .. } => Some(user(url, by)),
        PullState::Open | PullState::Closed { .. } => None,
    };
    let comments = row.comments.values().filter(|comment| comment.number == pull.number).count();
    object["merged"] = json!(merged_by.is_some());
    object["merged_by"] = json!(merged_by);
    // GitHub finds this out later, and says null until then.
    object["mergeable"] = Value::Null;
    object["mergeable_state"] = json!("unknown");
    object["rebaseable"] = Value::Null;
    object["maintainer_can_modify"] = json!(false);
    object["comments"] = json!(comments);
    object["review_comments"] = json!(0);
    object["commits"] = json!(pull.size.commits);
    object["additions"] = json!(pull.size.additions);
    object["deletions"] = json!(pull.size.deletions);
    object["changed_files"] = json!(pull.size.changed_files);
    object
}

fn tip(url: &str, state: &State, tip: &Tip) -> Value {
    json!({
        "label": format!("{}:{}", tip.repo.owner(), tip.branch),
        "ref": tip.branch,
        "sha": tip.sha,
        "user": user(url, tip.repo.owner()),
        // Null where the repository is gone, as GitHub has it for a deleted fork.
        "repo": state.repo(&tip.repo).ok().map(|row| repository(url, row)),
    })
}
