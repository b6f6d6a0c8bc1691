//! Replacing a file.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use pando_guest_protocol::frame::{self, Kind};
use pando_guest_protocol::session::{FailureKind, Written};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{blocking, check_path};
use crate::session::failure::{Stop, failure, refused};
use crate::session::reply;

/// Every bit that `chmod` knows.
const MODE_BITS: u32 = 0o7777;

/// Takes the new content in beside the file and renames it over; until then the
/// old content stands, and a session that breaks leaves nothing.
pub async fn write(stream: &mut TcpStream, path: String, mode: u32) -> Result<(), Stop> {
    if mode & !MODE_BITS != 0 {
        return Err(failure(FailureKind::Invalid, format!("mode {mode:o} is none")).into());
    }
    let checked = check_path(&path)?;
    let name = path.clone();
    let (draft, file) = blocking(move || {
        Draft::begin(&checked, mode).map_err(|error| match error {
            BeginError::NoFile(what) => failure(FailureKind::Conflict, format!("{name} is {what}")),
            BeginError::Io(error) => refused(&name, &error),
        })
    })
    .await?;

    let mut file = tokio::fs::File::from_std(file);
    let mut bytes = 0;
    loop {
        let frame = frame::expect(stream).await?;
        match frame.kind {
            Kind::Data => {
                file.write_all(&frame.payload).await.map_err(|error| refused(&path, &error))?;
                bytes += frame.payload.len() as u64;
            }
            Kind::End => break,
            kind => {
                let message = format!("{kind:?} has no place in a file");
                return Err(failure(FailureKind::Invalid, message).into());
            }
        }
    }
    // The last write happens on another thread; only this tells how it went.
    file.flush().await.map_err(|error| refused(&path, &error))?;
    let file = file.into_std().await;
    blocking(move || draft.commit(&file).map_err(|error| refused(&path, &error))).await?;
    reply(stream, &Written { bytes }).await
}

enum BeginError {
    /// There is something else of that name.
    NoFile(&'static str),
    Io(io::Error),
}

impl From<io::Error> for BeginError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The new content, under a name of its own. Dropped before it is committed, it is removed.
struct Draft {
    path: PathBuf,
    target: PathBuf,
    mode: u32,
    /// Who has the file that is replaced.
    owner: Option<(u32, u32)>,
    state: DraftState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DraftState {
    Open,
    Committed,
}

impl Draft {
    /// Makes parents and an empty file beside the one that is to be replaced. A
    /// link to a file stays: what it points to is replaced.
    fn begin(path: &Path, mode: u32) -> Result<(Self, File), BeginError> {
        let target = match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {
                fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
            }
            _ => path.to_owned(),
        };
        let (mode, owner) = match target.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => return Err(BeginError::NoFile("a directory")),
            Ok(metadata) if metadata.is_file() => {
                (metadata.mode() & MODE_BITS, Some((metadata.uid(), metadata.gid())))
            }
            Ok(metadata) if !metadata.is_symlink() => {
                return Err(BeginError::NoFile("no regular file"));
            }
            _ => (mode, None),
        };
        let (Some(folder), Some(_)) = (target.parent(), target.file_name()) else {
            return Err(BeginError::NoFile("a directory"));
        };
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(BeginError::NoFile("a directory's name"));
        }
        fs::create_dir_all(folder)?;
        let path = folder.join(draft_name());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((Self { path, target, mode, owner, state: DraftState::Open }, file))
    }

    fn commit(mut self, file: &File) -> io::Result<()> {
        if let Some((user, group)) = self.owner {
            fchown(file, Some(user), Some(group))?;
        }
        // After the owner, whose change takes the set-user-id bit away.
        file.set_permissions(Permissions::from_mode(self.mode))?;
        fs::rename(&self.path, &self.target)?;
        self.state = DraftState::Committed;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.state == DraftState::Open {
            // It may be gone with its folder; nothing else can be done about it.
            let _unused = fs::remove_file(&self.path);
        }
    }
}

/// Short, so that it fits wherever the name itself does; hidden; and the agent's alone.
fn draft_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!(".pando-{}-{number}", std::process::id())
}
