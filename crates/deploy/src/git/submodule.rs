//! Submodules: which commits of which repositories a commit needs. All of it is text of a
//! stranger's: an address is judged as the app's own is, a path is one of the tree's.

use std::collections::HashMap;
use std::path::Path;

use super::GitError;
use super::access::Source;
use super::host::HostPort;
use super::index::{self, Entry};
use super::program::Call;

/// How many a tree may have, those of its submodules among them.
pub(super) const MAX_SUBMODULES: usize = 64;
/// How deep they may lie in each other.
pub(super) const MAX_DEPTH: usize = 5;
const FILE: &str = ".gitmodules";
const MAX_FILE_BYTES: usize = 256 << 10;

/// A commit that belongs into a folder of a tree.
#[derive(Debug, Clone)]
pub(super) struct Submodule {
    /// From the root of the whole tree.
    pub path: String,
    pub commit: String,
    pub source: Source,
}

/// What `.gitmodules` says of a path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Section {
    path: Option<String>,
    url: Option<String>,
    is_left_out: bool,
}

/// The submodules of a commit in the mirror at `dir`. A folder that no section names stays
/// empty, as git leaves it, and so does one whose `update` is `none`.
pub(super) async fn of(
    dir: &Path,
    commit: &str,
    source: &Source,
    allowed: &[HostPort],
) -> Result<Vec<Submodule>, GitError> {
    let sections = sections(dir, commit).await?;
    if sections.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for link in index::list(dir, commit).await?.into_iter().filter(Entry::is_submodule) {
        let Ok(path) = String::from_utf8(link.path.clone()) else {
            let path = String::from_utf8_lossy(&link.path).into_owned();
            return Err(submodule(&path, "", GitError::Unreadable("ls-tree")));
        };
        let Some(section) = sections.get(&path).filter(|section| !section.is_left_out) else {
            continue;
        };
        let url = section.url.clone().unwrap_or_default();
        let source = source.url.join(&url, allowed).map(|url| source.beside(url));
        let source = source.map_err(|error| submodule(&path, &url, error.into()))?;
        found.push(Submodule { path, commit: link.id.clone(), source });
    }
    Ok(found)
}

/// The addresses that a commit's `.gitmodules` names, as far as they can be taken.
pub(super) async fn addresses(
    dir: &Path,
    commit: &str,
    source: &Source,
    allowed: &[HostPort],
) -> Result<Vec<String>, GitError> {
    let sections = sections(dir, commit).await?;
    let urls = sections.into_values().filter_map(|section| section.url);
    Ok(urls
        .filter_map(|url| source.url.join(&url, allowed).ok())
        .map(|url| url.mirror_key())
        .collect())
}

/// The failure of a submodule, by its name.
pub(super) fn submodule(path: &str, url: &str, error: GitError) -> GitError {
    let short = |text: &str| text.chars().filter(|it| !it.is_control()).take(200).collect();
    GitError::Submodule { path: short(path), url: short(url), error: Box::new(error) }
}

/// By path. git reads the file, as it reads its own settings, and follows nothing in it.
async fn sections(dir: &Path, commit: &str) -> Result<HashMap<String, Section>, GitError> {
    let blob = format!("{commit}:{FILE}");
    let exists = ["cat-file", "-e", &blob];
    if Call::new(dir, &exists).run(0).await.is_err() {
        return Ok(HashMap::new());
    }
    let arguments = ["config", "--no-includes", "--blob", &blob, "-z", "--list"];
    let listing = Call::new(dir, &arguments).run(MAX_FILE_BYTES).await?;
    let mut named: HashMap<String, Section> = HashMap::new();
    for setting in listing.split(|byte| *byte == 0) {
        let Ok(setting) = std::str::from_utf8(setting) else { continue };
        let Some((key, value)) = setting.split_once('\n') else { continue };
        let Some(key) = key.strip_prefix("submodule.") else { continue };
        let Some((name, key)) = key.rsplit_once('.') else { continue };
        let section = named.entry(name.to_owned()).or_default();
        match key {
            "path" => section.path = Some(value.trim_end_matches('/').to_owned()),
            "url" => section.url = Some(value.to_owned()),
            "update" => section.is_left_out = value == "none",
            _ => {}
        }
    }
    let by_path = |section: Section| Some((section.path.clone()?, section));
    Ok(named.into_values().filter_map(by_path).collect())
}

/// Why there are too many.
pub(super) fn too_many() -> GitError {
    GitError::TooMany { what: "submodules", limit: MAX_SUBMODULES }
}

/// Why one lies too deep.
pub(super) fn too_deep(path: &str) -> GitError {
    submodule(path, "", GitError::TooMany { what: "submodules in each other", limit: MAX_DEPTH })
}
