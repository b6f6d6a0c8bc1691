//! Why deployments cannot be started or asked, and how that reaches a person.

use std::io;
use std::path::PathBuf;

use pando_store::{SealError, StoreError};
use pando_types::{Code, PublicError};

use crate::git::GitError;

/// Why deployments cannot be started or asked.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The folder of the mirrors.
    #[error("cannot use {}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The rows.
    #[error("the rows of apps and deployments")]
    Store(#[from] StoreError),
    /// A sealed environment.
    #[error("an app's environment")]
    Seal(#[from] SealError),
    /// The client for a forge.
    #[error("the forge's client cannot be made")]
    Client(#[source] reqwest::Error),
    /// What was asked cannot be done; the text is for whoever asked.
    #[error(transparent)]
    Refused(#[from] PublicError),
}

impl From<DeployError> for PublicError {
    /// The one place where a failure gets its code. What is not for the client is
    /// logged here, once.
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Refused(error) => error,
            other => {
                tracing::error!(error = &other as &dyn std::error::Error, "a request failed");
                match &other {
                    DeployError::Store(error) => Self::from(error),
                    DeployError::Seal(_) => Self::new(
                        Code::Internal,
                        "a stored environment cannot be opened; the server's log holds the cause",
                    ),
                    _ => Self::internal(),
                }
            }
        }
    }
}

/// What a person may know of a failed git: it holds no host path and no secret.
pub(crate) fn git_message(error: &GitError) -> String {
    match error {
        GitError::Start { .. } | GitError::Folder(_) | GitError::Unreadable(_) => {
            "the repository cannot be read; the server's log holds the cause".into()
        }
        other => other.to_string(),
    }
}
