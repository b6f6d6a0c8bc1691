//! A commit.

use serde_json::{Value, json};

use super::node_id;
use crate::RepoName;
use crate::git::{Commit, Person};

/// The `commit` object. Its authors have no account here, so GitHub's users are null.
pub(crate) fn commit(url: &str, repo: &RepoName, commit: &Commit) -> Value {
    let (api, html) = (format!("{url}/repos/{repo}"), format!("{url}/{repo}/commit"));
    let Commit { sha, tree, .. } = commit;
    let person = |person: &Person| json!({ "name": person.name, "email": person.email, "date": person.date });
    let parents: Vec<Value> = commit
        .parents
        .iter()
        .map(|parent| {
            json!({
                "sha": parent,
                "url": format!("{api}/commits/{parent}"),
                "html_url": format!("{html}/{parent}"),
            })
        })
        .collect();
    json!({
        "sha": sha,
        "node_id": node_id("Commit", sha),
        "url": format!("{api}/commits/{sha}"),
        "html_url": format!("{html}/{sha}"),
        "comments_url": format!("{api}/commits/{sha}/comments"),
        "commit": {
            "url": format!("{api}/git/commits/{sha}"),
            "author": person(&commit.author),
            "committer": person(&commit.committer),
            "message": commit.message,
            "comment_count": 0,
            "tree": { "sha": tree, "url": format!("{api}/git/trees/{tree}") },
        },
        "author": null,
        "committer": null,
        "parents": parents,
    })
}
