//! Sending a file.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use pando_guest_protocol::frame::{self, CHUNK_BYTES, Kind};
use pando_guest_protocol::session::{Entry, Failure, FailureKind};
use rustix::fs::OFlags;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::stat::entry;
use super::{blocking, check_path};
use crate::session::failure::{Stop, failure, refused};
use crate::session::reply;

/// The most that is read of a file that claims to hold nothing, as files of `/proc` do.
const MAX_UNSIZED_BYTES: usize = 16 * 1024 * 1024;
/// How long that may take: the kernel makes up such a file while it is read.
const UNSIZED_LIMIT: Duration = Duration::from_secs(30);

/// Sends what the file held when it was opened: one that grows all the time still
/// comes to an end. One that claims to hold nothing is read whole before the answer,
/// so that what has no end, or cannot be read from its start, is refused and not broken off.
pub async fn read(stream: &mut TcpStream, path: String) -> Result<(), Stop> {
    let checked = check_path(&path)?;
    let name = path.clone();
    let (file, entry) = blocking(move || open(&checked, &name)).await?;
    if entry.size_bytes == 0 {
        let bytes = match timeout(UNSIZED_LIMIT, whole(file, &path)).await {
            Ok(bytes) => bytes?,
            Err(_) => return Err(endless(&path, "waits for more").into()),
        };
        reply(stream, &entry).await?;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            frame::write(stream, Kind::Data, chunk).await?;
        }
        return Ok(frame::write(stream, Kind::End, &[]).await?);
    }
    reply(stream, &entry).await?;
    let mut file = tokio::fs::File::from_std(file).take(entry.size_bytes);
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

async fn whole(file: File, path: &str) -> Result<Vec<u8>, Failure> {
    let mut file = tokio::fs::File::from_std(file).take(MAX_UNSIZED_BYTES as u64 + 1);
    let mut bytes = Vec::new();
    match file.read_to_end(&mut bytes).await {
        Ok(_) if bytes.len() > MAX_UNSIZED_BYTES => {
            let most = MAX_UNSIZED_BYTES >> 20;
            Err(endless(path, format_args!("goes on beyond {most} MiB")))
        }
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(endless(path, "waits for more")),
        Err(error) => Err(endless(path, format_args!("cannot be read whole ({error})"))),
    }
}

/// What is no file to be fetched, whatever its kind says.
fn endless(path: &str, what: impl Display) -> Failure {
    let message = format!("{path} claims to hold nothing and {what}: read it with a command");
    failure(FailureKind::Conflict, message)
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
