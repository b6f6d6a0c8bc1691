//! A repository at its forge: which commit a ref is at, and bringing one in.

use std::collections::BTreeSet;
use std::path::Path;

use super::access::Transport;
use super::mirror::{FETCH_LIMIT, MAX_LISTING_BYTES, kept_ref, tagged};
use super::program::Call;
use super::{GitError, Wanted, is_branch, is_commit};

/// How many of the tags at a commit come along.
const MAX_TAGS: usize = 32;

/// A repository at its forge, and the mirror that it is fetched into.
pub(super) struct Remote<'a> {
    pub dir: &'a Path,
    pub transport: &'a Transport,
    pub url: String,
}

impl Remote<'_> {
    async fn call(&self, arguments: &[&str], limit_bytes: usize) -> Result<Vec<u8>, GitError> {
        let Transport { config, variables, .. } = self.transport;
        let call = Call { config, variables, limit: FETCH_LIMIT, ..Call::new(self.dir, arguments) };
        call.run(limit_bytes).await
    }

    /// The commit that a ref is at. What is no branch may be a tag, which people name alike; of
    /// one with a message, the commit that it is about.
    pub(super) async fn resolve(&self, full_ref: &str) -> Result<String, GitError> {
        let tag = full_ref.strip_prefix("refs/heads/").map(|name| format!("refs/tags/{name}"));
        let peeled = tag.as_ref().map(|tag| format!("{tag}^{{}}"));
        let names = [Some(full_ref), peeled.as_deref(), tag.as_deref()];
        let names: Vec<&str> = names.into_iter().flatten().collect();
        let mut arguments = vec!["ls-remote", "--", &self.url];
        arguments.extend(&names);
        let text = self.call(&arguments, MAX_LISTING_BYTES).await?;
        let text = String::from_utf8_lossy(&text);
        // The patterns also fit refs that end in them.
        let refs: Vec<_> = text.lines().filter_map(|line| line.split_once('\t')).collect();
        let mut found = names.iter().filter_map(|name| refs.iter().find(|(_, it)| it == name));
        match found.next() {
            Some((commit, _)) if is_commit(commit) => Ok((*commit).to_owned()),
            Some(_) => Err(GitError::Unreadable("ls-remote")),
            None => Err(GitError::NoRef(full_ref.to_owned())),
        }
    }

    /// By its id; from a forge that hands out none by id, through its ref.
    pub(super) async fn bring(&self, commit: &str, wanted: &Wanted) -> Result<(), GitError> {
        let to = kept_ref(commit);
        let by_id = self.fetch(&[format!("+{commit}:{to}")]).await;
        let (Err(error @ GitError::Failed { .. }), Some(full_ref)) = (&by_id, &wanted.full_ref)
        else {
            return by_id;
        };
        if is_redirect(error) || is_denied(error) {
            return by_id;
        }
        let found = self.resolve(full_ref).await?;
        if found != commit {
            let (name, wanted) = (full_ref.clone(), commit.to_owned());
            return Err(GitError::Moved { name, found, wanted });
        }
        self.fetch(&[format!("+{full_ref}:{to}")]).await?;
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &to];
        let came = Call::new(self.dir, &arguments).run(1024).await?;
        let came = String::from_utf8_lossy(&came).trim().to_owned();
        if came == commit { Ok(()) } else { Err(GitError::Unreadable("fetch")) }
    }

    /// The tags that point at a commit. Others say nothing without its history.
    pub(super) async fn bring_tags(&self, commit: &str) -> Result<(), GitError> {
        let arguments = ["ls-remote", "--tags", "--", &self.url];
        let text = self.call(&arguments, MAX_LISTING_BYTES).await?;
        let text = String::from_utf8_lossy(&text);
        let refs = text.lines().filter_map(|line| line.split_once('\t'));
        let here = refs.filter(|(id, _)| *id == commit);
        let names: BTreeSet<&str> = here
            .filter_map(|(_, name)| name.strip_prefix("refs/tags/"))
            .map(|name| name.strip_suffix("^{}").unwrap_or(name))
            .filter(|name| is_branch(name))
            .take(MAX_TAGS)
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let prefix = tagged(commit);
        let refspec = |name: &str| format!("+refs/tags/{name}:{prefix}{name}");
        self.fetch(&names.into_iter().map(refspec).collect::<Vec<_>>()).await
    }

    async fn fetch(&self, refspecs: &[String]) -> Result<(), GitError> {
        let mut arguments = vec![
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--",
            &self.url,
        ];
        arguments.extend(refspecs.iter().map(String::as_str));
        self.call(&arguments, 0).await.map(drop)
    }
}

/// Whether the forge may just not have it yet.
pub(super) fn may_lag(error: &GitError) -> bool {
    let may_be =
        matches!(error, GitError::Failed { .. } | GitError::Moved { .. } | GitError::NoRef(_));
    may_be && !is_redirect(error) && !is_denied(error) && !says(error, &["fsck error"])
}

/// git follows nothing, and says what it was told.
pub(super) fn is_redirect(error: &GitError) -> bool {
    says(error, &["returned error: 30"])
}

pub(super) fn is_denied(error: &GitError) -> bool {
    let phrases = [
        "could not read Username",
        "could not read Password",
        "Authentication failed",
        "returned error: 403",
        "Permission denied (",
    ];
    says(error, &phrases)
}

fn says(error: &GitError, phrases: &[&str]) -> bool {
    let GitError::Failed { said, .. } = error else { return false };
    phrases.iter().any(|phrase| said.contains(phrase))
}
