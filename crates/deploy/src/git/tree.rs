//! Reading a commit out of its mirror.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::GitError;
use super::mirror::{Mirror, READ_LIMIT};
use super::program::Call;

/// The largest tree that goes into a sandbox.
const MAX_TREE_BYTES: u64 = 2 << 30;
/// How long a sandbox may take to swallow it.
const TREE_LIMIT: Duration = Duration::from_secs(600);
/// The bytes of one listing.
const MAX_LISTING_BYTES: usize = 4 << 20;

/// A tree as a tar stream.
pub(crate) type TreeStream = BoxStream<'static, Result<Bytes, GitError>>;

impl Mirror {
    /// The names in a folder of the commit, with `/` after folders; none where it is missing.
    pub(crate) async fn list(&self, folder: &str) -> Result<BTreeSet<String>, GitError> {
        let tree = self.object(folder);
        let arguments = ["ls-tree", "-z", "--end-of-options", &tree];
        let call = Call { dir: &self.dir, config: &[], arguments: &arguments, limit: READ_LIMIT };
        let listing = match call.run(MAX_LISTING_BYTES).await {
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

    /// The beginning of a file of the commit, `limit_bytes` and no more.
    pub(crate) async fn head(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, GitError> {
        let blob = self.object(path);
        let arguments = ["cat-file", "blob", &blob];
        let call = Call { dir: &self.dir, config: &[], arguments: &arguments, limit: READ_LIMIT };
        let whole = async {
            let mut stream = call.stream(u64::MAX)?;
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

    /// The whole tree of the commit, as a tar stream.
    pub(crate) fn tree(&self) -> Result<TreeStream, GitError> {
        let arguments = ["archive", "--format=tar", &self.commit];
        let call = Call { dir: &self.dir, config: &[], arguments: &arguments, limit: TREE_LIMIT };
        let hold = Arc::clone(&self.hold);
        let stream = call.stream(MAX_TREE_BYTES)?;
        Ok(stream
            .inspect(move |_| {
                let _held = &hold;
            })
            .boxed())
    }

    /// The commit id comes first, so whatever follows cannot be read as an option.
    fn object(&self, path: &str) -> String {
        format!("{}:{path}", self.commit)
    }
}
