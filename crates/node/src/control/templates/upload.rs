//! What comes with the request of a build: the files of its context, or a root file system.
//! It goes to the disk as it comes, without a name: however this process ends, nothing of
//! it is left.
//!
//! The context is written as a tar, which the guest unpacks. Nothing here reads one. Not by
//! the `tar` crate (0.4): its `Builder` blocks, and what it lends for a member of a length that
//! is not known yet cannot outlive a call; all that would serve here is [`header`].

use std::io::{self, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use pando_types::limits::{
    MAX_CONTEXT_BYTES, MAX_CONTEXT_FILES, MAX_PATH_BYTES, MAX_PATH_COMPONENT_BYTES,
    MAX_ROOTFS_TAR_BYTES,
};
use pando_types::{Code, PublicError};
use pando_vm::sys::durable;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

/// The bytes of a block of a tar.
const BLOCK_BYTES: usize = 512;
/// The longest name that a header holds.
const MAX_HEADER_NAME_BYTES: usize = 100;
const PLAIN: u32 = 0o644;
const PROGRAM: u32 = 0o755;

/// What an upload holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// Files for a Dockerfile's `COPY` and `ADD`.
    Context,
    /// A tar of a whole root file system.
    Rootfs,
}

/// An upload, as far as it came.
pub struct Upload {
    file: File,
    contents: Contents,
    bytes: u64,
    files: usize,
    open: Option<Member>,
    _turn: OwnedSemaphorePermit,
}

/// The file that is being written.
struct Member {
    path: String,
    /// Where its header is.
    header_at: u64,
    bytes: u64,
    mode: Option<u32>,
    /// Its first bytes: what they begin with says whether it is a program.
    first: Vec<u8>,
}

impl Upload {
    /// An empty one, which takes its room in `dir`.
    pub(super) fn new(
        dir: &Path,
        contents: Contents,
        turn: OwnedSemaphorePermit,
    ) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR)?;
        let file = File::from_std(std::fs::File::from(file));
        Ok(Self { file, contents, bytes: 0, files: 0, open: None, _turn: turn })
    }

    /// What it holds.
    #[must_use]
    pub fn contents(&self) -> Contents {
        self.contents
    }

    /// Begins a file of the context. Its permission bits are those of a program, where it
    /// begins like one, unless they are told.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] for a path that is none, [`Code::TooLarge`].
    pub async fn begin(&mut self, path: &str, mode: Option<u32>) -> Result<(), PublicError> {
        check_path(path)?;
        self.end().await?;
        self.files += 1;
        if self.files > MAX_CONTEXT_FILES {
            let message = format!("a context has {MAX_CONTEXT_FILES} files at most");
            return Err(PublicError::new(Code::TooLarge, message));
        }
        if path.len() > MAX_HEADER_NAME_BYTES {
            // GNU's way of a long name: a member whose content is the name.
            let length = path.len() as u64 + 1;
            self.append(&header("././@LongLink", b'L', PLAIN, length)).await?;
            self.append(path.as_bytes()).await?;
            self.append(&vec![0; 1 + padding(length)]).await?;
        }
        let header_at = self.bytes;
        self.append(&[0; BLOCK_BYTES]).await?;
        self.open =
            Some(Member { path: path.to_owned(), header_at, bytes: 0, mode, first: Vec::new() });
        Ok(())
    }

    /// More of the file that was begun, or of the root file system.
    ///
    /// # Errors
    /// [`Code::TooLarge`], [`Code::InsufficientStorage`].
    pub async fn write(&mut self, bytes: &Bytes) -> Result<(), PublicError> {
        self.append(bytes).await?;
        if let Some(member) = &mut self.open {
            member.bytes += bytes.len() as u64;
            let more = 4usize.saturating_sub(member.first.len()).min(bytes.len());
            member.first.extend_from_slice(&bytes[..more]);
        }
        Ok(())
    }

    /// Ends it; it can be read from its beginning then.
    ///
    /// # Errors
    /// [`Code::InsufficientStorage`].
    pub(super) async fn finish(mut self) -> Result<File, PublicError> {
        if self.contents == Contents::Context {
            self.end().await?;
            self.append(&[0; 2 * BLOCK_BYTES]).await?;
        }
        self.file.flush().await.map_err(unwritten)?;
        self.file.rewind().await.map_err(unwritten)?;
        Ok(self.file)
    }

    async fn end(&mut self) -> Result<(), PublicError> {
        let Some(member) = self.open.take() else { return Ok(()) };
        self.append(&vec![0; padding(member.bytes)]).await?;
        let is_program = member.first.starts_with(b"#!") || member.first == b"\x7fELF";
        let mode = member.mode.unwrap_or(if is_program { PROGRAM } else { PLAIN });
        let header = header(&member.path, b'0', mode & 0o777, member.bytes);
        let end = self.bytes;
        self.file.seek(SeekFrom::Start(member.header_at)).await.map_err(unwritten)?;
        self.file.write_all(&header).await.map_err(unwritten)?;
        self.file.seek(SeekFrom::Start(end)).await.map_err(unwritten)?;
        Ok(())
    }

    async fn append(&mut self, bytes: &[u8]) -> Result<(), PublicError> {
        let (most, what) = match self.contents {
            Contents::Context => (MAX_CONTEXT_BYTES, "the files of a context"),
            Contents::Rootfs => (MAX_ROOTFS_TAR_BYTES, "`rootfs`"),
        };
        self.bytes += bytes.len() as u64;
        if self.bytes > most {
            let message = format!("{what} may have {} MiB at most", most >> 20);
            return Err(PublicError::new(Code::TooLarge, message));
        }
        self.file.write_all(bytes).await.map_err(unwritten)
    }
}

fn unwritten(error: io::Error) -> PublicError {
    if durable::is_out_of_space(&error) {
        let message = "no disk space for the upload";
        return PublicError::new(Code::InsufficientStorage, message);
    }
    tracing::error!(%error, "an upload cannot be kept");
    PublicError::internal()
}

/// Refuses what is not the plain path of a file in a folder.
fn check_path(path: &str) -> Result<(), PublicError> {
    let is_plain = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && part.len() <= MAX_PATH_COMPONENT_BYTES
    };
    if path.len() < MAX_PATH_BYTES && !path.contains('\0') && path.split('/').all(is_plain) {
        return Ok(());
    }
    let shown: String = path.chars().filter(|c| !c.is_control()).take(64).collect();
    let message = format!(
        "`{shown}` is no file of a context: its name is its path there, without `..` and without \
         a `/` before it"
    );
    Err(PublicError::invalid(shown, message))
}

/// How many bytes follow so many up to the end of a block.
fn padding(bytes: u64) -> usize {
    let over = usize::try_from(bytes % BLOCK_BYTES as u64).unwrap_or(0);
    (BLOCK_BYTES - over) % BLOCK_BYTES
}

/// A header as tar(5) describes it ("ustar" with GNU's magic). A name that is longer than
/// it holds came before.
fn header(name: &str, kind: u8, mode: u32, bytes: u64) -> [u8; BLOCK_BYTES] {
    let mut header = [0; BLOCK_BYTES];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, &name.as_bytes()[..name.len().min(MAX_HEADER_NAME_BYTES)]);
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{bytes:011o}").as_bytes());
    // The same in every upload, so that a step is found again whose files are the same.
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar  ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn upload(contents: Contents) -> (tempfile::TempDir, Upload) {
        let folder = tempfile::tempdir().unwrap();
        let turns = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let turn = turns.try_acquire_owned().unwrap();
        let upload = Upload::new(folder.path(), contents, turn).unwrap();
        (folder, upload)
    }

    #[tokio::test]
    async fn what_comes_is_a_tar() {
        let (folder, mut upload) = upload(Contents::Context);
        let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
        for (path, mode, text) in [
            ("run.sh", None, "#!/bin/sh\necho hi\n"),
            ("a/b.txt", None, ""),
            ("a/exact", Some(0o600), &*"x".repeat(512)),
            (&long, None, "long"),
        ] {
            upload.begin(path, mode).await.unwrap();
            for piece in text.as_bytes().chunks(3) {
                upload.write(&Bytes::copy_from_slice(piece)).await.unwrap();
            }
        }
        let file = upload.finish().await.unwrap().into_std().await;
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        let unpacked = Command::new("tar")
            .args(["-x", "-C"])
            .arg(&out)
            .stdin(Stdio::from(file))
            .status()
            .unwrap();
        assert!(unpacked.success());
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &str| std::fs::metadata(out.join(path)).unwrap().permissions().mode();
        assert_eq!(std::fs::read_to_string(out.join("run.sh")).unwrap(), "#!/bin/sh\necho hi\n");
        assert_eq!(mode("run.sh") & 0o111, 0o111);
        assert_eq!(mode("a/b.txt") & 0o777, 0o644);
        assert_eq!(mode("a/exact") & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(out.join(long)).unwrap(), "long");
    }

    #[tokio::test]
    async fn a_path_stays_in_the_context() {
        let (_folder, mut upload) = upload(Contents::Context);
        for path in
            ["", "/etc/passwd", "..", "a/../../b", "a//b", "a/", "./a", "a\0b", &"x".repeat(256)]
        {
            let error = upload.begin(path, None).await.unwrap_err();
            assert_eq!(error.code, Code::InvalidRequest, "{path}");
        }
        for path in ["a", ".dockerignore", "a/..b/c", "ü"] {
            upload.begin(path, None).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_limit_is_kept() {
        let (_folder, mut upload) = upload(Contents::Context);
        upload.bytes = MAX_CONTEXT_BYTES - 1;
        assert_eq!(upload.begin("a", None).await.unwrap_err().code, Code::TooLarge);
        let (_folder, mut upload) = self::upload(Contents::Context);
        upload.files = MAX_CONTEXT_FILES;
        assert_eq!(upload.begin("a", None).await.unwrap_err().code, Code::TooLarge);
        let (_folder, mut upload) = self::upload(Contents::Rootfs);
        upload.bytes = MAX_ROOTFS_TAR_BYTES;
        let more = upload.write(&Bytes::from_static(b"x")).await;
        assert_eq!(more.unwrap_err().code, Code::TooLarge);
    }
}
