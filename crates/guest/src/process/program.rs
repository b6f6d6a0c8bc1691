//! Finding the program that a command names.
//!
//! The kernel's `ENOENT` could mean the program, its interpreter or the working
//! directory; looking first lets a failure say which.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What was looked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Here it is: an absolute path.
    Found(PathBuf),
    /// Something of that name, but nothing to run.
    NotExecutable,
    /// Nothing.
    Missing,
}

/// A name with a slash is a path from `directory`; any other is looked for in `search` (as in PATH).
pub fn find(name: &str, search: &str, directory: &Path) -> Lookup {
    if name.contains('/') {
        return examine(directory.join(name));
    }
    if name.is_empty() {
        return Lookup::Missing;
    }
    let mut answer = Lookup::Missing;
    for folder in std::env::split_paths(OsStr::new(search)) {
        match examine(directory.join(folder).join(name)) {
            Lookup::Missing => {}
            Lookup::NotExecutable => answer = Lookup::NotExecutable,
            found @ Lookup::Found(_) => return found,
        }
    }
    answer
}

fn examine(path: PathBuf) -> Lookup {
    match fs::metadata(&path) {
        Err(_) => Lookup::Missing,
        Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => {
            Lookup::Found(path)
        }
        Ok(_) => Lookup::NotExecutable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_search_and_refusals() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("first");
        let second = folder.path().join("second");
        for (path, mode) in [(first.join("tool"), 0o644), (second.join("tool"), 0o755)] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let search = format!("/nowhere:{}:{}", first.display(), second.display());
        let root = Path::new("/");
        assert_eq!(find("tool", &search, root), Lookup::Found(second.join("tool")));
        assert_eq!(find("tool", "first", folder.path()), Lookup::NotExecutable);
        assert_eq!(find("./tool", &search, &second), Lookup::Found(second.join("./tool")));
        assert_eq!(find("other", &search, root), Lookup::Missing);
        assert_eq!(find("", &search, root), Lookup::Missing);
        assert_eq!(find("./second", "", folder.path()), Lookup::NotExecutable);
    }
}
