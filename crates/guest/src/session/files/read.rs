//! Sending a file.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use pando_guest_protocol::frame::{self, CHUNK_BYTES, Kind};
use pando_guest_protocol::session::{Entry, Failure, FailureKind};
use rustix::fs::OFlags;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::stat::entry;
use super::{blocking, check_path};
use crate::session::failure::{Stop, failure, refused};
use crate::session::reply;

/// Sends what the file held when it was opened: one that grows all the time still
/// comes to an end. Files of `/proc` claim to hold nothing and are read to theirs.
pub async fn read(stream: &mut TcpStream, path: String) -> Result<(), Stop> {
    let checked = check_path(&path)?;
    let name = path.clone();
    let (file, entry) = blocking(move || open(&checked, &name)).await?;
    reply(stream, &entry).await?;
    let limit = if entry.size_bytes == 0 { u64::MAX } else { entry.size_bytes };
    let mut file = tokio::fs::File::from_std(file).take(limit);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut buffer).await.map_err(|error| refused(&path, &error))?;
        if count == 0 {
            break;
        }
        frame::write(stream, Kind::Data, &buffer[..count]).await?;
    }
    Ok(frame::write(stream, Kind::End, &[]).await?)
}

fn open(path: &Path, name: &str) -> Result<(File, Entry), Failure> {
    let file = OpenOptions::new()
        .read(true)
        // A pipe without a writer would hold the thread for ever.
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(|error| refused(name, &error))?;
    let metadata = file.metadata().map_err(|error| refused(name, &error))?;
    if metadata.is_dir() {
        return Err(failure(FailureKind::Conflict, format!("{name} is a directory")));
    }
    if !metadata.is_file() {
        return Err(failure(FailureKind::Conflict, format!("{name} is no regular file")));
    }
    let entry = entry(path.file_name().unwrap_or(OsStr::new("/")), &metadata);
    Ok((file, entry))
}
