//! The name of a repository, `owner/name`, safe to use as a path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ForgeError;

/// The most bytes in either half of a name (GitHub's own limit for repositories).
const MAX_HALF_BYTES: usize = 100;
/// Owners that would hide a route of the stand-in.
const RESERVED_OWNERS: [&str; 2] = ["repos", "_standin"];

/// `owner/name`. Letters, digits, `.`, `_` and `-`; neither half starts with a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RepoName {
    owner: String,
    name: String,
}

impl RepoName {
    /// The name of these two halves.
    ///
    /// # Errors
    /// [`ForgeError::BadName`].
    pub fn new(owner: &str, name: &str) -> Result<Self, ForgeError> {
        let plain = |half: &str| {
            !half.is_empty()
                && half.len() <= MAX_HALF_BYTES
                && !half.starts_with(['.', '-'])
                && half.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let good = plain(owner)
            && plain(name)
            && !name.ends_with(".git")
            && !RESERVED_OWNERS.contains(&owner);
        if good {
            Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
        } else {
            Err(ForgeError::BadName(format!("{owner}/{name}")))
        }
    }

    /// The half before the slash.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The half after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl FromStr for RepoName {
    type Err = ForgeError;

    fn from_str(text: &str) -> Result<Self, ForgeError> {
        let (owner, name) =
            text.split_once('/').ok_or_else(|| ForgeError::BadName(text.to_owned()))?;
        Self::new(owner, name)
    }
}

impl TryFrom<String> for RepoName {
    type Error = ForgeError;

    fn try_from(text: String) -> Result<Self, ForgeError> {
        text.parse()
    }
}

impl From<RepoName> for String {
    fn from(name: RepoName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_plain_halves() {
        assert_eq!("pando/hello".parse::<RepoName>().unwrap().to_string(), "pando/hello");
        for bad in [
            "pando",
            "/x",
            "x/",
            "a/b/c",
            "../x",
            "x/..",
            "x/a.git",
            "repos/x",
            "_standin/x",
            "a/b c",
        ] {
            assert!(bad.parse::<RepoName>().is_err(), "{bad}");
        }
    }
}
