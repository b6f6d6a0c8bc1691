//! Making, renaming and removing.

use std::fs;

use pando_guest_protocol::session::{Failure, FailureKind};

use super::{blocking, check_path};
use crate::session::failure::{failure, refused};

/// Makes a directory and its parents; fine when it is there.
pub async fn make_dir(path: String) -> Result<(), Failure> {
    let checked = check_path(&path)?;
    blocking(move || fs::create_dir_all(checked).map_err(|error| refused(&path, &error))).await
}

/// Renames; what has the new name is replaced.
pub async fn rename(from: String, to: String) -> Result<(), Failure> {
    let (checked_from, checked_to) = (check_path(&from)?, check_path(&to)?);
    blocking(move || {
        fs::rename(checked_from, checked_to)
            .map_err(|error| refused(format_args!("{from} to {to}"), &error))
    })
    .await
}

/// Removes a file, a link, or a directory: an empty one, or with all in it if that was asked for.
pub async fn remove(path: String, recursive: bool) -> Result<(), Failure> {
    let checked = check_path(&path)?;
    blocking(move || {
        let metadata = checked.symlink_metadata().map_err(|error| refused(&path, &error))?;
        if fs::canonicalize(&checked).is_ok_and(|real| real.parent().is_none()) && metadata.is_dir()
        {
            return Err(failure(FailureKind::Invalid, "the root cannot be removed"));
        }
        let removed = match (metadata.is_dir(), recursive) {
            (false, _) => fs::remove_file(&checked),
            (true, false) => fs::remove_dir(&checked),
            (true, true) => fs::remove_dir_all(&checked),
        };
        removed.map_err(|error| refused(&path, &error))
    })
    .await
}
