//! A user.

use serde_json::{Value, json};

/// The `simple-user` object. Anybody with a name exists.
pub(crate) fn user(url: &str, login: &str) -> Value {
    let id = id(login);
    // As GitHub writes the name of an app's account into an address.
    let path = login.replace('[', "%5B").replace(']', "%5D");
    let api = format!("{url}/users/{path}");
    json!({
        "login": login,
        "id": id,
        "node_id": super::node_id("User", id),
        "avatar_url": format!("{url}/avatars/{id}"),
        "gravatar_id": "",
        "url": api,
        "html_url": format!("{url}/{path}"),
        "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following{{/other_user}}"),
        "gists_url": format!("{api}/gists{{/gist_id}}"),
        "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events{{/privacy}}"),
        "received_events_url": format!("{api}/received_events"),
        "type": if login.ends_with("[bot]") { "Bot" } else { "User" },
        "site_admin": false,
    })
}

/// An address that can belong to nobody (RFC 2606).
pub(crate) fn email(login: &str) -> String {
    format!("{login}@users.invalid")
}

/// The same number for the same name, always: FNV-1a over its bytes.
fn id(login: &str) -> u32 {
    login.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
