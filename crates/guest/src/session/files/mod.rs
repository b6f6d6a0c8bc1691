//! Files: whole ones streamed in and out, and what is done to names.
//!
//! Paths are the machine's own, so `..` and links mean what they mean to any
//! program in it.

mod change;
mod list;
mod read;
mod stat;
mod write;

use std::path::PathBuf;

use pando_guest_protocol::session::{Failure, FailureKind};

pub use change::{make_dir, remove, rename};
pub use list::list;
pub use read::read;
pub use stat::stat;
pub use write::write;

use super::failure::failure;

/// `PATH_MAX`.
const MAX_PATH_BYTES: usize = 4096;

/// A path that the kernel would take.
///
/// # Errors
/// [`FailureKind::Invalid`], saying what is wrong with it.
pub fn check_path(path: &str) -> Result<PathBuf, Failure> {
    let complaint = if !path.starts_with('/') {
        "is not absolute"
    } else if path.contains('\0') {
        "holds a NUL byte"
    } else if path.len() >= MAX_PATH_BYTES {
        "is too long"
    } else {
        return Ok(PathBuf::from(path));
    };
    // Not repeated whole: it may be long.
    let start: String = path.chars().take(100).collect();
    Err(failure(FailureKind::Invalid, format!("path {start:?} {complaint}")))
}

/// Does what would block on a thread that may.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(failure(FailureKind::Other, error.to_string())),
    }
}
