//! The client of a running stand-in.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::{Done, NamePull, OpenPull, Refused};

/// How long an answer may take: two webhooks, and git.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Why a running stand-in did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It could not be asked.
    #[error("no stand-in answers at {url}: start one with `pando-forge serve`")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// It would not.
    #[error("{0}")]
    Refused(String),
    /// It answered what only another program would.
    #[error("what answers at {0} is no stand-in of this version")]
    Stranger(String),
}

/// Asks a running stand-in.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    http: reqwest::Client,
}

impl Client {
    /// For the stand-in at this address.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] where no HTTP client can be made.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let url = url.trim_end_matches('/').to_owned();
        match reqwest::Client::builder().no_proxy().timeout(ANSWER_LIMIT).build() {
            Ok(http) => Ok(Self { url, http }),
            Err(source) => Err(ClientError::Unreachable { url, source }),
        }
    }

    /// Makes the demo's repository.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn demo_repo(&self) -> Result<Done, ClientError> {
        self.ask("demo-repo", &json!({})).await
    }

    /// Opens a pull request into the default branch.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn open_pull(&self, pull: &OpenPull) -> Result<Done, ClientError> {
        self.ask("pulls", pull).await
    }

    /// Closes a pull request without merging it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn close_pull(&self, pull: &NamePull) -> Result<Done, ClientError> {
        self.ask("pulls/close", pull).await
    }

    /// Opens a closed pull request again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reopen_pull(&self, pull: &NamePull) -> Result<Done, ClientError> {
        self.ask("pulls/reopen", pull).await
    }

    async fn ask(&self, route: &str, body: &impl Serialize) -> Result<Done, ClientError> {
        let unreachable = |source| ClientError::Unreachable { url: self.url.clone(), source };
        let stranger = |_| ClientError::Stranger(self.url.clone());
        let request = self.http.post(format!("{}/_standin/{route}", self.url)).json(body);
        let response = request.send().await.map_err(unreachable)?;
        if response.status().is_success() {
            return response.json().await.map_err(stranger);
        }
        let refused: Refused = response.json().await.map_err(stranger)?;
        Err(ClientError::Refused(refused.error))
    }
}
