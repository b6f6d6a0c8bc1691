//! The small repository that goes into a sandbox with its tree: one commit on its branch,
//! the tags at it, and an index. No remote, no credential, no hook.

use std::fs;
use std::path::{Path, PathBuf};

use super::index::{self, Entry};
use super::mirror::{FETCH_LIMIT, MAX_LISTING_BYTES, tagged};
use super::program::Call;
use super::scratch::Scratch;
use super::{GitError, is_branch};

/// git is to believe the times and sizes in the index: the rest of what it knows of a file
/// only the machine that has it can know.
const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\
                      \ttrustctime = false\n\tcheckStat = minimal\n";

/// A made repository.
pub(super) struct Repository {
    scratch: Scratch,
    /// When its commit was made, in seconds: so old are the files of its archive.
    pub committed: u64,
}

impl Repository {
    /// Makes one of a commit in the mirror at `dir`, whose tree has these entries.
    pub(super) async fn make(
        scratch: Scratch,
        dir: &Path,
        commit: &str,
        branch: &str,
        entries: &[Entry],
    ) -> Result<Self, GitError> {
        if !is_branch(branch) {
            return Err(GitError::NoRef(branch.to_owned()));
        }
        let tags = tags(dir, commit).await?;
        let committed = committed(dir, commit).await?;
        let made = Self { scratch, committed };
        let packs = made.dir().join("objects/pack");
        fs::create_dir_all(&packs).map_err(GitError::Folder)?;
        fs::create_dir_all(made.dir().join("refs")).map_err(GitError::Folder)?;
        made.write("HEAD", format!("ref: refs/heads/{branch}\n").as_bytes())?;
        made.write("config", CONFIG.as_bytes())?;
        let mut refs = format!("{commit} refs/heads/{branch}\n");
        for (id, name) in &tags {
            refs.push_str(&format!("{id} refs/tags/{name}\n"));
        }
        made.write("packed-refs", refs.as_bytes())?;
        // What is cut off above it is known only from there.
        let shallow = fs::read_to_string(dir.join("shallow")).unwrap_or_default();
        if shallow.lines().any(|line| line == commit) {
            made.write("shallow", format!("{commit}\n").as_bytes())?;
        }
        let mut wanted = format!("{commit}\n");
        for (id, _) in &tags {
            wanted.push_str(&format!("{id}\n"));
        }
        let base = packs.join("pack");
        let base = base.to_str().ok_or(GitError::Unreadable("pack-objects"))?;
        // What the mirror has in small is kept so; nothing is searched to make more small.
        let arguments =
            ["pack-objects", "--quiet", "--revs", "--delta-base-offset", "--window=0", base];
        // What it writes it begins where its objects are: not in the mirror, in which whoever
        // fetches clears away what is not whole.
        let variables = [
            ("GIT_OBJECT_DIRECTORY", made.dir().join("objects").into_os_string()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", dir.join("objects").into_os_string()),
        ];
        let call = Call {
            input: wanted.as_bytes(),
            variables: &variables,
            limit: FETCH_LIMIT,
            ..Call::new(dir, &arguments)
        };
        call.run(1024).await?;
        made.write_index(entries)?;
        Ok(made)
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.scratch.path().join("git")
    }

    /// Writes the index again, after an entry's size has changed.
    pub(super) fn write_index(&self, entries: &[Entry]) -> Result<(), GitError> {
        self.write("index", &index::encode(entries, self.committed))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), GitError> {
        fs::write(self.dir().join(name), bytes).map_err(GitError::Folder)
    }
}

/// The tags at a commit that the mirror has: what each points at, and its name.
async fn tags(dir: &Path, commit: &str) -> Result<Vec<(String, String)>, GitError> {
    let prefix = tagged(commit);
    let arguments = ["for-each-ref", "--format=%(objectname) %(refname)", &prefix];
    let listing = Call::new(dir, &arguments).run(MAX_LISTING_BYTES).await?;
    let listing = String::from_utf8_lossy(&listing).into_owned();
    let tag = |line: &str| {
        let (id, name) = line.split_once(' ')?;
        Some((id.to_owned(), name.strip_prefix(&prefix)?.to_owned()))
    };
    Ok(listing.lines().filter_map(tag).collect())
}

async fn committed(dir: &Path, commit: &str) -> Result<u64, GitError> {
    let arguments = ["rev-list", "--max-count=1", "--timestamp", commit];
    let said = Call::new(dir, &arguments).run(1024).await?;
    let said = String::from_utf8_lossy(&said);
    let seconds = said.split(' ').next().and_then(|seconds| seconds.parse().ok());
    seconds.ok_or(GitError::Unreadable("rev-list"))
}
