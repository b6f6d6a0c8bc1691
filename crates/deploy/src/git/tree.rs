//! Reading a commit out of its mirror.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;
use tokio_util::task::AbortOnDropHandle;

use super::lfs::{MAX_POINTER_BYTES, Pointer};
use super::mirror::{MAX_LISTING_BYTES, Mirror, Part, READ_LIMIT};
use super::program::Call;
use super::tar::{self, Kind, Piece};
use super::{GitError, is_commit};

/// The largest tree that goes into a sandbox.
const MAX_TREE_BYTES: u64 = 2 << 30;
/// How long a sandbox may take to swallow a repository of it.
const TREE_LIMIT: Duration = Duration::from_secs(600);
/// The bytes of a file read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// The pieces that wait for a slow sandbox.
const QUEUED: usize = 4;

/// A tree as a tar stream.
pub(crate) type TreeStream = BoxStream<'static, Result<Bytes, GitError>>;

impl Mirror {
    /// The names in a folder of the commit, with `/` after folders; none where it is missing.
    pub(crate) async fn list(&self, folder: &str) -> Result<BTreeSet<String>, GitError> {
        let tree = self.object(folder);
        let arguments = ["ls-tree", "-z", "--end-of-options", &tree];
        let listing = match Call::new(self.dir(), &arguments).run(MAX_LISTING_BYTES).await {
            Err(GitError::Failed { .. }) => return Ok(BTreeSet::new()),
            other => other?,
        };
        let mut names = BTreeSet::new();
        for line in listing.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let line = String::from_utf8_lossy(line);
            let (facts, name) = line.split_once('\t').ok_or(GitError::Unreadable("ls-tree"))?;
            let is_folder = facts.split(' ').nth(1) == Some("tree");
            names.insert(if is_folder { format!("{name}/") } else { name.to_owned() });
        }
        Ok(names)
    }

    /// The beginning of a file of the commit, `limit_bytes` and no more. A link to another
    /// file of it is that file; of one that leads elsewhere, it is where it leads.
    pub(crate) async fn head(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, GitError> {
        let blob = self.followed(path).await?.unwrap_or_else(|| self.object(path));
        let arguments = ["cat-file", "blob", &blob];
        let call = Call::new(self.dir(), &arguments);
        let whole = async {
            let mut stream = call.stream()?;
            let mut head = Vec::new();
            while head.len() < limit_bytes
                && let Some(bytes) = stream.next().await
            {
                head.extend_from_slice(&bytes?);
            }
            head.truncate(limit_bytes);
            Ok(head)
        };
        let late = GitError::Timeout { verb: "cat-file", limit: READ_LIMIT };
        tokio::time::timeout(READ_LIMIT, whole).await.unwrap_or(Err(late))
    }

    /// The file of the commit that a link in it leads to; none where the path is no link, or
    /// leads to none. git follows names in the tree and nothing on this host; nor, alas, a `./`.
    async fn followed(&self, path: &str) -> Result<Option<String>, GitError> {
        let entries = &self.held.parts[0].entries;
        let at = entries.binary_search_by(|entry| entry.path[..].cmp(path.as_bytes()));
        if !at.is_ok_and(|at| entries[at].is_link()) {
            return Ok(None);
        }
        let asked = self.object(path) + "\n";
        let arguments = ["cat-file", "--batch-check", "--follow-symlinks"];
        let call = Call { input: asked.as_bytes(), ..Call::new(self.dir(), &arguments) };
        let said = call.run(MAX_LISTING_BYTES).await?;
        let said = String::from_utf8_lossy(&said);
        let mut words = said.split_ascii_whitespace();
        let (first, kind) = (words.next(), words.next());
        Ok(first.filter(|id| is_commit(id) && kind == Some("blob")).map(str::to_owned))
    }

    /// The whole tree of the commit with its submodules, its files in LFS and a small `.git`,
    /// as a tar stream.
    pub(crate) fn tree(&self) -> TreeStream {
        let (sender, chunks) = mpsc::channel(QUEUED);
        let mirror = self.clone();
        // What waits for a reader ends with it, and lets go of the mirrors.
        let writing = AbortOnDropHandle::new(tokio::spawn(async move {
            let mut out = Out { sender, left: MAX_TREE_BYTES };
            if let Err(Stopped::Failed(error)) = mirror.write(&mut out).await {
                let _ = out.sender.send(Err(error)).await;
            }
        }));
        stream::unfold((chunks, writing), |(mut chunks, writing)| async move {
            let chunk = chunks.recv().await?;
            Some((chunk, (chunks, writing)))
        })
        .boxed()
    }

    async fn write(&self, out: &mut Out) -> Result<(), Stopped> {
        for part in &self.held.parts {
            part.write(out).await?;
        }
        // Last: nothing that comes out of a repository is written over it.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let repository = &self.held.repository;
        // git reads what could have changed after its index was written, so that is younger
        // than all that it knows of.
        let index = now.max(repository.committed.saturating_add(1));
        let modified = |name: &str| if name == ".git/index" { index } else { now };
        write_folder(&repository.dir(), ".git", &modified, out).await?;
        out.send(Bytes::from_static(&tar::END)).await
    }

    pub(super) fn dir(&self) -> &Path {
        &self.held.parts[0].dir
    }

    /// The commit id comes first, so whatever follows cannot be read as an option.
    fn object(&self, path: &str) -> String {
        format!("{}:{path}", self.commit)
    }
}

/// Refuses a tree that does not go into a sandbox, before there is one.
pub(super) fn check_bytes(parts: &[Part]) -> Result<(), GitError> {
    let entries = parts.iter().flat_map(|part| &part.entries);
    let bytes = entries.fold(0_u64, |sum, entry| sum.saturating_add(entry.bytes));
    if bytes > MAX_TREE_BYTES { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> GitError {
    GitError::TooLarge { what: "tree", limit_bytes: MAX_TREE_BYTES }
}

/// Where a tree is written to.
struct Out {
    sender: mpsc::Sender<Result<Bytes, GitError>>,
    /// How much more is taken.
    left: u64,
}

/// Why a tree is not written to its end.
enum Stopped {
    /// Nobody reads it any more.
    Unread,
    Failed(GitError),
}

impl From<GitError> for Stopped {
    fn from(error: GitError) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(GitError::Folder(error))
    }
}

impl Out {
    async fn send(&mut self, bytes: Bytes) -> Result<(), Stopped> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(too_large)?;
        self.sender.send(Ok(bytes)).await.map_err(|_| Stopped::Unread)
    }

    /// The content of a file of so many bytes, and what fills its last block.
    async fn send_file(&mut self, path: &Path, bytes: u64) -> Result<(), Stopped> {
        let file = File::open(path).await?.take(bytes);
        let mut chunks = ReaderStream::with_capacity(file, CHUNK_BYTES);
        let mut sent = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            sent += chunk.len() as u64;
            self.send(chunk).await?;
        }
        if sent != bytes {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        self.send(Bytes::from_static(tar::padding(bytes))).await
    }
}

impl Part {
    async fn write(&self, out: &mut Out) -> Result<(), Stopped> {
        let prefix = format!("--prefix={}/", self.path);
        let mut arguments = vec!["archive", "--format=tar"];
        if !self.path.is_empty() {
            arguments.push(&prefix);
        }
        arguments.push(&self.commit);
        let call = Call { limit: TREE_LIMIT, ..Call::new(&self.dir, &arguments) };
        let mut archive = call.stream()?;
        let small = if self.objects.is_empty() { 0 } else { MAX_POINTER_BYTES };
        let mut reader = tar::Reader::new(small);
        while let Some(bytes) = archive.next().await {
            reader.push(&bytes?);
            while let Some(piece) = reader.next() {
                self.write_piece(piece, out).await?;
            }
        }
        if reader.is_over() { Ok(()) } else { Err(GitError::Unreadable("archive").into()) }
    }

    /// A file in LFS stands in the place of its pointer.
    async fn write_piece(&self, piece: Piece, out: &mut Out) -> Result<(), Stopped> {
        let (head, content, whole) = match piece {
            Piece::Bytes(bytes) => return out.send(bytes).await,
            Piece::Small { head, content, whole } => (head, content, whole),
        };
        let pointer = Pointer::read(&content);
        match pointer.and_then(|pointer| self.objects.get(&pointer.id)) {
            Some((path, bytes)) => {
                out.send(tar::resized(&head, *bytes)).await?;
                out.send_file(path, *bytes).await
            }
            None => out.send(whole).await,
        }
    }
}

/// A folder of our own making, whose names are short.
async fn write_folder(
    folder: &Path,
    name: &str,
    modified: &(impl Fn(&str) -> u64 + Sync),
    out: &mut Out,
) -> Result<(), Stopped> {
    out.send(tar::header(&format!("{name}/"), Kind::Folder, 0, modified(name))).await?;
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        let (path, metadata) = (entry.path(), entry.metadata().await?);
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if metadata.is_dir() {
            Box::pin(write_folder(&path, &name, modified, out)).await?;
        } else {
            out.send(tar::header(&name, Kind::File, metadata.len(), modified(&name))).await?;
            out.send_file(&path, metadata.len()).await?;
        }
    }
    Ok(())
}
