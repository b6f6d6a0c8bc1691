//! The files of a build's context: those of a folder, as a Dockerfile's `COPY` names them.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pando_types::limits::{MAX_CONTEXT_BYTES, MAX_CONTEXT_FILES};

use crate::error::Failure;

/// What is no part of a context, wherever it is.
const LEFT_OUT: &str = ".git";

/// One file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Where it is here.
    pub path: PathBuf,
    /// Its path in the context.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its permission bits.
    pub mode: u32,
}

/// The files below `dir`, in the order of their names. Links to files are what they lead to.
pub(super) fn files(dir: &Path) -> Result<Vec<File>, Failure> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    let mut open = vec![(dir.to_owned(), String::new())];
    while let Some((folder, prefix)) = open.pop() {
        for entry in entries(&folder).with_context(|| folder.display().to_string())? {
            let path = folder.join(&entry);
            let Some(name) = entry.to_str() else {
                let message = format!("{}: its name is not UTF-8", path.display());
                return Err(Failure::usage(message, "rename it, or build in another folder"));
            };
            if name == LEFT_OUT {
                continue;
            }
            let name = format!("{prefix}{name}");
            let is_link = path.is_symlink();
            // A link that leads nowhere copies nothing.
            let Ok(metadata) = path.metadata() else { continue };
            if metadata.is_dir() && !is_link {
                open.push((path, format!("{name}/")));
            } else if metadata.is_file() {
                bytes += metadata.len();
                let mode = metadata.permissions().mode() & 0o777;
                found.push(File { path, name, bytes: metadata.len(), mode });
            }
            if bytes > MAX_CONTEXT_BYTES || found.len() > MAX_CONTEXT_FILES {
                let message = format!(
                    "{} holds more than a build takes: {MAX_CONTEXT_FILES} files of {} MiB",
                    dir.display(),
                    MAX_CONTEXT_BYTES >> 20
                );
                return Err(Failure::usage(message, "build in a folder with what it needs alone"));
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn entries(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn all_files_and_nothing_of_git() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("src/.git")).unwrap();
        fs::create_dir(root.join(".git")).unwrap();
        for (name, mode) in [("run.sh", 0o755), ("src/a", 0o600), (".git/config", 0o644)] {
            fs::write(root.join(name), name).unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("run.sh", root.join("link")).unwrap();
        symlink("nowhere", root.join("dead")).unwrap();
        symlink("src", root.join("folder")).unwrap();
        let found = files(root).unwrap();
        let found: Vec<_> =
            found.iter().map(|file| (file.name.as_str(), file.bytes, file.mode)).collect();
        assert_eq!(found, [("link", 6, 0o755), ("run.sh", 6, 0o755), ("src/a", 5, 0o600)]);
    }
}
