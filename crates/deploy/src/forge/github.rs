//! GitHub's REST API, the calls that Pando makes
//! (<https://docs.github.com/en/rest>, version 2022-11-28).

use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::repository::{Repository, moment};
use super::{Absent, CommitState, CommitStatus, Forge, ForgeError, PullRequestState};
use crate::Secret;
use crate::error::DeployError;

const API_VERSION: &str = "2022-11-28";
/// What the status of a commit is called.
const CONTEXT: &str = "pando";
const CALL_LIMIT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 8 << 20;
const PER_PAGE: usize = 100;
/// Comments that are looked through for ours: the first is there early.
const MAX_PAGES: usize = 10;
/// The longest description that GitHub takes.
const MAX_DESCRIPTION_CHARS: usize = 140;

/// GitHub, or who answers as it does.
pub struct GitHub {
    client: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    token: Secret,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Deserialize)]
struct PullRequest {
    state: String,
    #[serde(default)]
    updated_at: String,
    base: Base,
}

#[derive(Deserialize)]
struct Base {
    repo: Repository,
}

impl GitHub {
    /// A client of the API at `base` (`https://api.github.com`, say).
    ///
    /// # Errors
    /// [`DeployError::Client`].
    pub fn new(base: &str, token: Secret) -> Result<Self, DeployError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("pando/", env!("CARGO_PKG_VERSION")))
            .timeout(CALL_LIMIT)
            // A redirect would carry the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(DeployError::Client)?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), token })
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(self.token.reveal())
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", API_VERSION)
    }

    async fn find(
        &self,
        repo: &str,
        pr_number: u64,
        marker: &str,
    ) -> Result<Option<u64>, ForgeError> {
        for page in 1..=MAX_PAGES {
            let path = format!(
                "/repos/{repo}/issues/{pr_number}/comments?per_page={PER_PAGE}&page={page}"
            );
            let answer = send(self.call(Method::GET, &path)).await?;
            let comments: Vec<Comment> =
                serde_json::from_slice(&answer).map_err(|_| ForgeError::Unreadable("comments"))?;
            // They come oldest first, and ours was the first that could know the marker.
            let ours = |comment: &&Comment| {
                comment.body.as_ref().is_some_and(|body| body.contains(marker))
            };
            if let Some(comment) = comments.iter().find(ours) {
                return Ok(Some(comment.id));
            }
            if comments.len() < PER_PAGE {
                break;
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Forge for GitHub {
    async fn upsert_comment(
        &self,
        repo: &str,
        pr_number: u64,
        marker: &str,
        body: &str,
        absent: Absent,
    ) -> Result<(), ForgeError> {
        let body = json!({ "body": body });
        let call = match self.find(repo, pr_number, marker).await? {
            Some(id) => self.call(Method::PATCH, &format!("/repos/{repo}/issues/comments/{id}")),
            None if absent == Absent::Leave => return Ok(()),
            None => self.call(Method::POST, &format!("/repos/{repo}/issues/{pr_number}/comments")),
        };
        send(call.json(&body)).await.map(drop)
    }

    async fn set_status(&self, repo: &str, status: &CommitStatus) -> Result<(), ForgeError> {
        let state = match status.state {
            CommitState::Pending => "pending",
            CommitState::Success => "success",
            CommitState::Failure => "failure",
            CommitState::Error => "error",
        };
        let description: String = status.description.chars().take(MAX_DESCRIPTION_CHARS).collect();
        let mut body = json!({ "state": state, "description": description, "context": CONTEXT });
        if let Some(url) = &status.target_url {
            body["target_url"] = json!(url);
        }
        let call = self.call(Method::POST, &format!("/repos/{repo}/statuses/{}", status.sha));
        send(call.json(&body)).await.map(drop)
    }

    async fn pull_request(&self, repo: &str, number: u64) -> Result<PullRequestState, ForgeError> {
        let answer = send(self.call(Method::GET, &format!("/repos/{repo}/pulls/{number}"))).await?;
        let PullRequest { state, updated_at, base } =
            serde_json::from_slice(&answer).map_err(|_| ForgeError::Unreadable("pull request"))?;
        let Repository { clone_url, html_url, ssh_url, .. } = base.repo;
        Ok(PullRequestState {
            // What is no word of GitHub's closes nothing.
            is_open: state != "closed",
            updated_at: moment(&updated_at),
            addresses: vec![clone_url, html_url, ssh_url],
        })
    }
}

async fn send(call: RequestBuilder) -> Result<Vec<u8>, ForgeError> {
    let answer = call.send().await.map_err(ForgeError::Unreachable)?;
    let status = answer.status();
    let body = read(answer).await?;
    if status.is_success() {
        return Ok(body);
    }
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = said["message"].as_str().unwrap_or("(no message)").chars().take(300).collect();
    Err(ForgeError::Refused { status: status.as_u16(), message })
}

async fn read(answer: Response) -> Result<Vec<u8>, ForgeError> {
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(ForgeError::Unreachable)?);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(ForgeError::Unreadable("it is too long"));
        }
    }
    Ok(body)
}
