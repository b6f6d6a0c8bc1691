//! What detection looks at, read from the mirror: names and bounded texts.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::files::{
    ABOVE_FILES, APP_FILES, HEADS, LISTED, MANIFEST, MAX_ABOVE, MAX_HEAD_BYTES, MAX_MANIFEST_BYTES,
    MAX_MEMBERS, MAX_NAMES, MAX_PACKAGE_JSON_BYTES, MAX_WHOLE_BYTES, MEMBERS_READ, PACKAGE_JSON,
    PYTHON_APPS, VERSION_FILES,
};
use crate::git::{GitError, Mirror};

/// How many files are read at once: each is a git of its own.
const AT_ONCE: usize = 4;
/// How deep the settings of a Django project may be.
const DJANGO_SETTINGS_PARTS: usize = 4;

/// What is in an app's folder and above it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    pub app: Dir,
    /// The folders above it up to the repository's root, the nearest first.
    pub above: Vec<Dir>,
}

/// A folder of the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dir {
    /// From the repository's root; empty for that itself.
    pub path: String,
    /// Its entries, with `/` after folders; those of some folders below it too.
    pub names: BTreeSet<String>,
    /// Texts of files, or their beginnings.
    pub texts: BTreeMap<String, String>,
    /// Files that are too large to be read.
    pub too_large: BTreeSet<String>,
}

/// Where files come from.
#[async_trait]
pub(super) trait Files: Sync {
    /// The names in a folder, with `/` after folders; none where it is missing.
    async fn list(&self, folder: &str) -> Result<BTreeSet<String>, GitError>;
    /// The beginning of a file, `limit_bytes` and no more.
    async fn head(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, GitError>;
}

#[async_trait]
impl Files for Mirror {
    async fn list(&self, folder: &str) -> Result<BTreeSet<String>, GitError> {
        Self::list(self, folder).await
    }

    async fn head(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, GitError> {
        Self::head(self, path, limit_bytes).await
    }
}

impl Dir {
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The text of a file; none where it is not there, or too large.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// The first of these that is there.
    pub(super) fn first<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// A file's path in the repository.
    pub(super) fn path_of(&self, name: &str) -> String {
        below(&self.path, name)
    }

    fn place(&self) -> String {
        if self.path.is_empty() {
            "at the root of the repository".into()
        } else {
            format!("in {}/", self.path)
        }
    }
}

impl Sources {
    pub(super) fn has(&self, name: &str) -> bool {
        self.app.has(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.app.text(name)
    }

    pub(super) fn place(&self) -> String {
        self.app.place()
    }

    /// The text of the first of these that is there.
    pub(super) fn any_text(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.text(name))
    }
}

/// Reads what [`super::detect`] needs.
pub(crate) async fn read(mirror: &Mirror, folder: &str) -> Result<Sources, GitError> {
    gather(mirror, folder).await
}

pub(super) async fn gather(files: &dyn Files, folder: &str) -> Result<Sources, GitError> {
    let mut app = Dir { path: folder.to_owned(), ..Dir::default() };
    app.names = bounded(files.list(folder).await?);
    for listed in LISTED {
        if app.has(&format!("{listed}/")) {
            let names = bounded(files.list(&below(folder, listed)).await?);
            app.names.extend(names.iter().map(|name| format!("{listed}/{name}")));
        }
    }
    let wholes = APP_FILES.iter().chain(&PYTHON_APPS).chain(&VERSION_FILES).copied();
    fill(files, &mut app, wholes).await?;
    django(files, &mut app).await?;
    let mut above = Vec::new();
    let mut rest = folder;
    while !rest.is_empty() && above.len() < MAX_ABOVE {
        rest = rest.rsplit_once('/').map_or("", |(parent, _)| parent);
        let mut dir = Dir { path: rest.to_owned(), ..Dir::default() };
        dir.names = bounded(files.list(rest).await?);
        let wholes = ABOVE_FILES.iter().chain(&VERSION_FILES).copied();
        fill(files, &mut dir, wholes).await?;
        above.push(dir);
    }
    let mut sources = Sources { app, above };
    let root = super::workspace::find(&sources).ok().flatten().map(|it| it.root.path.clone());
    let root = match root {
        Some(path) => sources.above.iter_mut().find(|dir| dir.path == path),
        None => Some(&mut sources.app),
    };
    if let Some(root) = root
        && let Some(members) = members(files, root).await
    {
        root.texts.extend(members);
        root.texts.insert(MEMBERS_READ.to_owned(), String::new());
    }
    Ok(sources)
}

/// The `package.json` of each member of a workspace, by its path from the root; none where
/// there is no workspace, or not all can be read: then any may have been left out.
async fn members(files: &dyn Files, root: &Dir) -> Option<BTreeMap<String, String>> {
    let patterns = super::workspace::patterns(root);
    if patterns.is_empty() || patterns.len() > MAX_MEMBERS {
        return None;
    }
    let mut folders = BTreeSet::new();
    for pattern in patterns {
        if pattern.starts_with('!') {
            continue;
        }
        let pattern = super::inside(&pattern)?;
        let parent = match pattern.rsplit_once('/') {
            Some((parent, "*")) => Some(parent),
            None if pattern == "*" => Some(""),
            _ => None,
        };
        // Other patterns may take in folders of any depth.
        if parent.unwrap_or(&pattern).contains(['*', '?', '[', '{', '(', '\\']) {
            return None;
        }
        let Some(parent) = parent else {
            folders.insert(pattern);
            continue;
        };
        let names = files.list(&below(&root.path, parent)).await.ok()?;
        let names = names.iter().filter_map(|name| name.strip_suffix('/'));
        folders.extend(names.map(|name| below(parent, name)));
    }
    // The root itself was read.
    folders.remove("");
    if folders.len() > MAX_MEMBERS {
        return None;
    }
    let mut texts = BTreeMap::new();
    for folder in folders {
        let path = below(&root.path, &folder);
        if !files.list(&path).await.ok()?.contains(PACKAGE_JSON) {
            continue;
        }
        let limit = MAX_PACKAGE_JSON_BYTES;
        let bytes = files.head(&below(&path, PACKAGE_JSON), limit + 1).await.ok()?;
        if bytes.len() > limit {
            return None;
        }
        texts.insert(below(&folder, PACKAGE_JSON), decoded(&bytes));
    }
    Some(texts)
}

/// Reads those files that are there.
async fn fill(
    files: &dyn Files,
    dir: &mut Dir,
    wholes: impl Iterator<Item = &'static str>,
) -> Result<(), GitError> {
    let wholes = wholes.map(|name| (name, MAX_WHOLE_BYTES, false));
    let heads = HEADS.into_iter().map(|name| (name, MAX_HEAD_BYTES, true));
    let own =
        [(PACKAGE_JSON, MAX_PACKAGE_JSON_BYTES, false), (MANIFEST, MAX_MANIFEST_BYTES, false)];
    let wanted: Vec<(&str, usize, bool)> =
        own.into_iter().chain(wholes).chain(heads).filter(|(name, ..)| dir.has(name)).collect();
    for wanted in wanted.chunks(AT_ONCE) {
        let paths: Vec<String> = wanted.iter().map(|(name, ..)| dir.path_of(name)).collect();
        let reads =
            paths.iter().zip(wanted).map(|(path, (_, limit, _))| files.head(path, limit + 1));
        let read = try_join_all(reads).await?;
        for ((name, limit, is_head), bytes) in wanted.iter().zip(read) {
            if bytes.len() > *limit && !is_head {
                dir.too_large.insert((*name).to_owned());
                continue;
            }
            dir.texts.insert((*name).to_owned(), decoded(&bytes[..bytes.len().min(*limit)]));
        }
    }
    Ok(())
}

/// The settings of a Django project: `manage.py` says where they are.
async fn django(files: &dyn Files, app: &mut Dir) -> Result<(), GitError> {
    let Some(module) = app.text("manage.py").and_then(super::python::settings_module) else {
        return Ok(());
    };
    let module: Vec<String> = module.split('.').map(str::to_owned).collect();
    if module.len() > DJANGO_SETTINGS_PARTS {
        return Ok(());
    }
    let folder = module.join("/");
    for name in [format!("{folder}.py"), format!("{folder}/__init__.py")] {
        let (parent, file) = name.rsplit_once('/').unwrap_or(("", &name));
        if !files.list(&below(&app.path, parent)).await?.contains(file) {
            continue;
        }
        let bytes = files.head(&below(&app.path, &name), MAX_WHOLE_BYTES).await?;
        app.texts.insert(super::python::SETTINGS.to_owned(), decoded(&bytes));
        break;
    }
    Ok(())
}

fn below(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => name.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, name) => format!("{folder}/{name}"),
    }
}

fn bounded(names: BTreeSet<String>) -> BTreeSet<String> {
    if names.len() <= MAX_NAMES { names } else { names.into_iter().take(MAX_NAMES).collect() }
}

/// As text: without the mark that some editors put first, which no parser takes, and in UTF-8
/// where Windows wrote something else.
fn decoded(bytes: &[u8]) -> String {
    let wide = |big: bool| {
        let units = bytes[2..].chunks_exact(2).map(|pair| {
            let pair = [pair[0], pair[1]];
            if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        });
        char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect()
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(false),
        [0xfe, 0xff, ..] => wide(true),
        bytes => String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_at_the_head_of_a_file() {
        assert_eq!(decoded(b"\xef\xbb\xbfv22\r\n"), "v22\r\n");
        assert_eq!(decoded(b"\xff\xfev\x002\x00"), "v2");
        assert_eq!(decoded(b"\xfe\xff\x00v\x002"), "v2");
        assert_eq!(decoded(b"\xff"), "\u{fffd}");
    }
}
