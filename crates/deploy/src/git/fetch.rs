//! Bringing a commit in, with all that belongs to its tree.
//!
//! Each repository is fetched from by one at a time, who holds no other meanwhile; then all
//! that a tree needs is held at once, to read, in the order of their names. So those that
//! are each other's submodules wait for each other's forges at most, and a tree that goes
//! into a slow sandbox keeps nobody waiting.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pando_node::garbage::touch;
use tokio::time::Instant;

use super::access::{Source, Transport};
use super::index;
use super::keep::Note;
use super::lfs::{self, Objects};
use super::mirror::{FETCH_LIMIT, Held, Mirror, Mirrors, Part, clear, has, kept_ref};
use super::name::Vouched;
use super::remote::{Remote, is_denied, is_redirect, may_lag};
use super::repository::Repository;
use super::scratch::Scratch;
use super::submodule::{self, MAX_DEPTH, MAX_SUBMODULES, Submodule};
use super::{GitError, Wanted, tree, web};

/// How long all of a tree may take.
const WHOLE_LIMIT: Duration = Duration::from_secs(900);
/// How long a commit that was announced may be missing at the forge.
const LAG_LIMIT: Duration = Duration::from_secs(30);
const FIRST_LAG_PAUSE: Duration = Duration::from_millis(500);
/// How often a repository may say that it is elsewhere.
const MAX_REDIRECTS: usize = 3;
/// How often what was fetched may be gone before it could be held.
const TRIES: usize = 3;
/// The branch of a repository that only git looks into.
const NO_BRANCH: &str = "main";

/// What a tree needs.
struct Needs {
    commit: String,
    submodules: Vec<Submodule>,
}

impl Mirrors {
    /// Brings exactly one commit in with its submodules and its files in LFS, and holds
    /// them. A forge may announce a commit before it hands it out: that is waited for, but
    /// not for long.
    pub(crate) async fn fetch(&self, source: &Source, wanted: &Wanted) -> Result<Mirror, GitError> {
        let limited = tokio::time::timeout(WHOLE_LIMIT, self.fetch_unlimited(source, wanted)).await;
        limited.unwrap_or(Err(GitError::Timeout { verb: "fetch", limit: WHOLE_LIMIT }))
    }

    async fn fetch_unlimited(&self, source: &Source, wanted: &Wanted) -> Result<Mirror, GitError> {
        let mut wanted = wanted.clone();
        for _ in 0..TRIES {
            let needs = self.bring_all(source, &wanted).await?;
            if let Some(mirror) = self.hold(source, &needs, &wanted).await? {
                return Ok(mirror);
            }
            wanted.commit = Some(needs.commit);
        }
        Err(GitError::Unreadable("fetch"))
    }

    async fn bring_all(&self, source: &Source, wanted: &Wanted) -> Result<Needs, GitError> {
        let commit = self.bring(source, wanted).await?;
        let vouched = self.vouched(source, &wanted.vouched).await;
        let mut submodules: Vec<Submodule> = Vec::new();
        let mut looked: VecDeque<(usize, String, Source, String)> =
            VecDeque::from([(0, String::new(), source.clone(), commit.clone())]);
        while let Some((depth, above, source, commit)) = looked.pop_front() {
            for mut found in self.submodules(&source, &commit).await? {
                found.path.insert_str(0, &above);
                if submodules.len() >= MAX_SUBMODULES {
                    return Err(submodule::too_many());
                }
                if depth >= MAX_DEPTH {
                    return Err(submodule::too_deep(&found.path));
                }
                if vouched.as_ref().is_some_and(|it| !it.contains(&found.source.url.mirror_key())) {
                    found.source = found.source.without_credential();
                }
                let brought = self.bring(&found.source, &Wanted::commit(&found.commit)).await;
                brought.map_err(|error| {
                    submodule::submodule(&found.path, &found.source.url.to_string(), error)
                })?;
                let below = format!("{}/", found.path);
                looked.push_back((depth + 1, below, found.source.clone(), found.commit.clone()));
                submodules.push(found);
            }
        }
        Ok(Needs { commit, submodules })
    }

    async fn submodules(&self, source: &Source, commit: &str) -> Result<Vec<Submodule>, GitError> {
        let name = source.mirror();
        let lock = self.lock(&name);
        let _turn = lock.uses.read().await;
        submodule::of(&self.root.join(name), commit, source, &self.allowed).await
    }

    /// The submodules that the credential is shown to; `None` for all.
    async fn vouched(&self, source: &Source, vouched: &Vouched) -> Option<HashSet<String>> {
        let commit = match vouched {
            Vouched::All => return None,
            Vouched::Of(None) => return Some(HashSet::new()),
            Vouched::Of(Some(commit)) => commit,
        };
        let name = source.mirror();
        let lock = self.lock(&name);
        let _turn = lock.uses.read().await;
        let addresses =
            submodule::addresses(&self.root.join(name), commit, source, &self.allowed).await;
        Some(addresses.unwrap_or_default().into_iter().collect())
    }

    /// Brings one commit in, wherever the repository has moved; its id.
    async fn bring(&self, source: &Source, wanted: &Wanted) -> Result<String, GitError> {
        let name = source.mirror();
        let lock = self.lock(&name);
        let _alone = lock.fetches.lock().await;
        self.slim(&name).await?;
        let turn = lock.uses.read().await;
        let dir = self.ensure(&name).await?;
        let brought = self.bring_into(source, &dir, &name, wanted).await;
        drop(turn);
        if brought.is_err() {
            self.drop_empty(&name);
        }
        brought
    }

    async fn bring_into(
        &self,
        source: &Source,
        dir: &Path,
        name: &str,
        wanted: &Wanted,
    ) -> Result<String, GitError> {
        let mut from = source.clone();
        for _ in 0..=MAX_REDIRECTS {
            let brought = self.bring_from(&from, dir, wanted);
            let limited = tokio::time::timeout(FETCH_LIMIT, brought).await;
            let late = GitError::Timeout { verb: "fetch", limit: FETCH_LIMIT };
            match limited.unwrap_or(Err(late)) {
                Err(error) if is_redirect(&error) => {
                    from = source.beside(web::moved(&from, &self.allowed).await?);
                }
                Err(error) if is_denied(&error) => {
                    let host = from.url.host().to_owned();
                    return Err(GitError::Denied { host, is_known: from.has_credential() });
                }
                Err(error) => {
                    // A git that was killed leaves up to a whole pack.
                    if let Err(error) = clear(dir) {
                        tracing::warn!(%error, mirror = name, "what a failed fetch left stays");
                    }
                    return Err(error);
                }
                Ok(commit) => {
                    touch(&dir.join(kept_ref(&commit)));
                    touch(dir);
                    return Ok(commit);
                }
            }
        }
        Err(GitError::Redirect("one place after another".into()))
    }

    async fn bring_from(
        &self,
        from: &Source,
        dir: &Path,
        wanted: &Wanted,
    ) -> Result<String, GitError> {
        if let Some(commit) = &wanted.commit
            && has(dir, commit).await
        {
            return Ok(commit.clone());
        }
        let transport = Transport::to(from, &self.root, &self.allowed).await?;
        let remote = Remote { dir, transport: &transport, url: from.url.to_string() };
        let commit = match (&wanted.commit, &wanted.full_ref) {
            (Some(commit), _) => commit.clone(),
            (None, Some(full_ref)) => remote.resolve(full_ref).await?,
            (None, None) => return Err(GitError::NoRef("commit".into())),
        };
        if has(dir, &commit).await {
            return Ok(commit);
        }
        let begun = Instant::now();
        let mut pause = FIRST_LAG_PAUSE;
        while let Err(error) = remote.bring(&commit, wanted).await {
            if !may_lag(&error) || begun.elapsed() + pause > LAG_LIMIT {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        if wanted.branch.is_some()
            && let Err(error) = remote.bring_tags(&commit).await
        {
            tracing::debug!(%error, "the tags of a commit stay away");
        }
        Ok(commit)
    }

    /// Holds all that was brought; none where some of it went again in between.
    async fn hold(
        &self,
        source: &Source,
        needs: &Needs,
        wanted: &Wanted,
    ) -> Result<Option<Mirror>, GitError> {
        let first =
            Submodule { path: String::new(), commit: needs.commit.clone(), source: source.clone() };
        let all: Vec<&Submodule> = std::iter::once(&first).chain(&needs.submodules).collect();
        let names: BTreeSet<String> = all.iter().map(|it| it.source.mirror()).collect();
        let mut turns = Vec::new();
        for name in &names {
            turns.push(Arc::clone(&self.lock(name).uses).read_owned().await);
        }
        for part in &all {
            if !has(&self.root.join(part.source.mirror()), &part.commit).await {
                return Ok(None);
            }
        }
        let branch = wanted.branch.as_deref().unwrap_or(NO_BRANCH);
        let (own, repository) = self.own(source, &needs.commit, branch).await?;
        let submodules =
            needs.submodules.iter().map(|it| (it.source.mirror(), it.commit.clone())).collect();
        let note = Note { submodules, ..Note::default() };
        note.add_to(&own.dir, &own.commit).map_err(GitError::Folder)?;
        let mut parts = vec![own];
        for found in &needs.submodules {
            let part = self.part(found).await;
            let named =
                |error| submodule::submodule(&found.path, &found.source.url.to_string(), error);
            parts.push(part.map_err(named)?);
        }
        tree::check_bytes(&parts)?;
        let held = Held { parts, repository, _turns: turns };
        Ok(Some(Mirror { commit: needs.commit.clone(), held: held.into() }))
    }

    /// The commit itself with its files in LFS, and the repository that goes with it.
    async fn own(
        &self,
        source: &Source,
        commit: &str,
        branch: &str,
    ) -> Result<(Part, Repository), GitError> {
        let dir = self.root.join(source.mirror());
        let mut entries = index::list(&dir, commit).await?;
        let scratch = Scratch::new(&self.root).map_err(GitError::Folder)?;
        let repository = Repository::make(scratch, &dir, commit, branch, &entries).await?;
        let pointers = lfs::pointers(&repository.dir(), &entries).await?;
        let objects = lfs::bring(&dir, source, &pointers, &self.allowed).await?;
        for (at, pointer) in &pointers {
            entries[*at].bytes = pointer.bytes;
        }
        repository.write_index(&entries)?;
        let note = Note { lfs: objects.keys().cloned().collect(), ..Note::default() };
        note.add_to(&dir, commit).map_err(GitError::Folder)?;
        let (path, commit) = (String::new(), commit.to_owned());
        Ok((Part { path, dir, commit, entries, objects }, repository))
    }

    /// A submodule's commit with its files in LFS.
    async fn part(&self, found: &Submodule) -> Result<Part, GitError> {
        let dir = self.root.join(found.source.mirror());
        let entries = index::list(&dir, &found.commit).await?;
        if lfs::may_have(&entries) {
            let (own, _) = self.own(&found.source, &found.commit, NO_BRANCH).await?;
            return Ok(Part { path: found.path.clone(), ..own });
        }
        let (path, commit, objects) = (found.path.clone(), found.commit.clone(), Objects::new());
        Ok(Part { path, dir, commit, entries, objects })
    }
}
