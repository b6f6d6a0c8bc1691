//! Listing a directory.

use std::ffi::OsString;
use std::path::Path;

use pando_guest_protocol::session::{Entry, Failure, FailureKind};
use tokio::net::TcpStream;

use super::stat::entry;
use super::{blocking, check_path};
use crate::session::attended::attended;
use crate::session::failure::{Stop, failure, refused};
use crate::session::json_lines::JsonLines;

/// Beyond this a listing is refused: nobody reads it, and it is held in memory to be sorted.
const MAX_ENTRIES: usize = 100_000;

/// Sends the entries by name.
pub async fn list(stream: &mut TcpStream, path: String) -> Result<(), Stop> {
    let checked = check_path(&path)?;
    let entries = attended(stream, blocking(move || collect(&checked, &path))).await?;
    let mut lines = JsonLines::new(stream);
    for entry in &entries {
        lines.push(entry).await?;
    }
    lines.end().await
}

fn collect(path: &Path, name: &str) -> Result<Vec<Entry>, Failure> {
    let refused = |error| refused(name, &error);
    let mut found: Vec<(OsString, Entry)> = Vec::new();
    for item in path.read_dir().map_err(refused)? {
        let item = item.map_err(refused)?;
        if found.len() == MAX_ENTRIES {
            let message = format!("{name} has over {MAX_ENTRIES} entries");
            return Err(failure(FailureKind::Invalid, message));
        }
        // One that was removed meanwhile is not there to be listed.
        if let Ok(metadata) = item.metadata() {
            let name = item.file_name();
            let entry = entry(&name, &metadata);
            found.push((name, entry));
        }
    }
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(found.into_iter().map(|(_, entry)| entry).collect())
}
