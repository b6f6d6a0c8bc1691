//! What detection looks at, read from the mirror.

use std::collections::BTreeSet;

use crate::git::{GitError, Mirror};

/// The largest `package.json` that is read.
const MAX_PACKAGE_JSON_BYTES: usize = 1 << 20;
/// Folders whose page is served where there is no other sign of an app.
const PAGE_FOLDERS: [&str; 2] = ["public", "dist"];

/// What is in an app's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// The folder; empty for the repository's root.
    pub folder: String,
    /// Its entries, with `/` after folders.
    pub names: BTreeSet<String>,
    pub package_json: Option<String>,
    /// Folders below it with an `index.html`.
    pub page_folders: Vec<String>,
}

impl Sources {
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(super) fn place(&self) -> String {
        if self.folder.is_empty() {
            "at the root of the repository".into()
        } else {
            format!("in {}/", self.folder)
        }
    }
}

/// Reads what [`super::detect`] needs.
pub(crate) async fn read(mirror: &Mirror, folder: &str) -> Result<Sources, GitError> {
    let below = |name: &str| {
        if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
    };
    let names = mirror.list(folder).await?;
    let package_json = if names.contains("package.json") {
        let bytes = mirror.read(&below("package.json"), MAX_PACKAGE_JSON_BYTES).await?;
        // A byte order mark is no JSON, and some editors write one.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some(text.trim_start_matches('\u{feff}').to_owned())
    } else {
        None
    };
    let mut page_folders = Vec::new();
    for page in PAGE_FOLDERS {
        if names.contains(&format!("{page}/"))
            && mirror.list(&below(page)).await?.contains("index.html")
        {
            page_folders.push(page.to_owned());
        }
    }
    Ok(Sources { folder: folder.to_owned(), names, package_json, page_folders })
}
