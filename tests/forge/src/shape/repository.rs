//! A repository.

use serde_json::{Value, json};

use super::{email, node_id, time, user};
use crate::state::RepoRow;

/// The parts of a repository's API address, and what GitHub appends to each.
const URLS: [(&str, &str); 37] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
    ("url", ""),
];

/// What no repository here has any of.
const NONE_OF: [&str; 6] =
    ["size", "stargazers_count", "watchers_count", "watchers", "forks_count", "forks"];
/// What no repository here is or has.
const NEVER: [&str; 9] = [
    "has_projects",
    "has_downloads",
    "has_wiki",
    "has_pages",
    "has_discussions",
    "archived",
    "disabled",
    "is_template",
    "web_commit_signoff_required",
];
/// What no repository here says of itself.
const UNSAID: [&str; 5] = ["description", "homepage", "mirror_url", "language", "license"];

/// The `repository` object, as in a `pull_request` event.
pub(crate) fn repository(url: &str, row: &RepoRow) -> Value {
    let (name, html) = (&row.name, format!("{url}/{}", row.name));
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    let open = row.pulls.values().filter(|pull| pull.is_open()).count();
    let mut object = json!({
        "id": row.id,
        "node_id": node_id("Repository", row.id),
        "name": name.name(),
        "full_name": name,
        "private": false,
        "visibility": "public",
        "owner": user(url, name.owner()),
        "html_url": html,
        "fork": row.parent.is_some(),
        "created_at": time(row.created_at),
        "updated_at": time(row.pushed_at),
        "pushed_at": time(row.pushed_at),
        "clone_url": format!("{html}.git"),
        "git_url": format!("git://{host}/{name}.git"),
        "ssh_url": format!("git@{host}:{name}.git"),
        "svn_url": html,
        "open_issues_count": open,
        "open_issues": open,
        "has_issues": true,
        "allow_forking": true,
        "topics": [],
        "default_branch": row.default_branch,
    });
    let unset = NONE_OF
        .map(|field| (field, json!(0)))
        .into_iter()
        .chain(NEVER.map(|field| (field, json!(false))))
        .chain(UNSAID.map(|field| (field, Value::Null)));
    for (field, value) in unset {
        object[field] = value;
    }
    let api = format!("{url}/repos/{name}");
    for (field, tail) in URLS {
        object[field] = json!(format!("{api}{tail}"));
    }
    object
}

/// The same in a `push` event, where GitHub writes some moments as seconds and says more of the owner.
pub(crate) fn pushed_repository(url: &str, row: &RepoRow) -> Value {
    let mut object = repository(url, row);
    object["url"] = object["html_url"].clone();
    object["created_at"] = json!(row.created_at.as_secs());
    object["pushed_at"] = json!(row.pushed_at.as_secs());
    object["master_branch"] = json!(row.default_branch);
    object["stargazers"] = json!(0);
    object["owner"]["name"] = json!(row.name.owner());
    object["owner"]["email"] = json!(email(row.name.owner()));
    object
}

/// The `full-repository` object, as asked for alone.
pub(crate) fn full_repository(url: &str, row: &RepoRow, parent: Option<&RepoRow>) -> Value {
    let mut object = repository(url, row);
    object["network_count"] = json!(0);
    object["subscribers_count"] = json!(0);
    if let Some(parent) = parent {
        object["parent"] = repository(url, parent);
        object["source"] = repository(url, parent);
    }
    object
}
