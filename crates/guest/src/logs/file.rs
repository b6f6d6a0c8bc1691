//! Keeping what a detached command says: in a file of its own, and in the log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pando_guest_protocol::log::Output;

use super::{Logs, READ_BYTES, read};
use crate::process::Detached;
use crate::sys::log;

/// A file larger than this is put aside as `<name>.1`, over the one before it, so
/// that a command that talks for ever does not fill the disk.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Opens the file, and starts keeping what the command that `start` starts says,
/// until the last that holds its outputs has ended. Gives the command's process id.
///
/// # Errors
/// Of opening the file, as `E`; of `start`.
pub fn keep<E>(
    logs: &Arc<Logs>,
    path: &Path,
    unusable: impl FnOnce(io::Error) -> E,
    start: impl FnOnce() -> Result<Detached, E>,
) -> Result<u32, E> {
    let mut file = LogFile::open(path).map_err(unusable)?;
    let Detached { pid, mut stdout, mut stderr } = start()?;
    let (mut out, mut err) = (logs.writer(pid, Output::Stdout), logs.writer(pid, Output::Stderr));
    // It ends with what it listens to: nobody waits for it, as nobody waits for the command.
    tokio::spawn(async move {
        let (mut out_open, mut err_open) = (true, true);
        let (mut out_buffer, mut err_buffer) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
        while out_open || err_open {
            let bytes = tokio::select! {
                biased;
                count = read(&mut stdout, &mut out_buffer), if out_open => {
                    out_open = count > 0;
                    let bytes = out_buffer.get(..count).unwrap_or_default();
                    out.push(bytes);
                    bytes.to_vec()
                }
                count = read(&mut stderr, &mut err_buffer), if err_open => {
                    err_open = count > 0;
                    let bytes = err_buffer.get(..count).unwrap_or_default();
                    err.push(bytes);
                    bytes.to_vec()
                }
            };
            if !bytes.is_empty() {
                file = file.append(bytes).await;
            }
        }
    });
    Ok(pid)
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file: Some(file), bytes })
    }

    /// Writes on a thread that may block. What a full disk does not take is in the log all the same.
    async fn append(self, bytes: Vec<u8>) -> Self {
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || self.append_now(&bytes)).await;
        written.unwrap_or_else(|error| {
            log::error(format_args!("log {}: {error}", path.display()));
            Self { path, file: None, bytes: 0 }
        })
    }

    fn append_now(mut self, bytes: &[u8]) -> Self {
        if self.bytes >= MAX_FILE_BYTES {
            let mut aside = self.path.clone().into_os_string();
            aside.push(".1");
            // Where it cannot be moved it is emptied, so that it never grows beyond the limit.
            self.file = match fs::rename(&self.path, aside) {
                Ok(()) => append_to(&self.path).ok(),
                Err(_) => self.file.filter(|file| file.set_len(0).is_ok()),
            };
            self.bytes = 0;
        }
        if let Some(file) = &mut self.file
            && file.write_all(bytes).is_ok()
        {
            self.bytes += bytes.len() as u64;
        }
        self
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/app.log");
        let mut file = LogFile::open(&path).unwrap();
        file = file.append_now(b"old\n");
        file.bytes = MAX_FILE_BYTES;
        file = file.append_now(b"new\n");
        assert_eq!(file.bytes, 4);
        assert_eq!(fs::read(&path).unwrap(), b"new\n");
        assert_eq!(fs::read(folder.path().join("deep/app.log.1")).unwrap(), b"old\n");
        drop(file);
        assert_eq!(LogFile::open(&path).unwrap().bytes, 4);
    }
}
