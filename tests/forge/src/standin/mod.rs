//! `/_standin/…`: what the demo's command line asks of a running stand-in, and the
//! client that asks it. Nothing here is GitHub's.
//!
//! Taken from this machine alone, and as JSON alone: a page in a browser cannot
//! send that to another host without asking first, and is not answered.

mod client;
mod routes;

use serde::{Deserialize, Serialize};

pub use client::{Client, ClientError};
pub(crate) use routes::router;

use crate::Delivery;

/// `POST /_standin/pulls`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenPull {
    /// `owner/name`.
    pub repo: String,
    /// The branch it proposes.
    pub branch: String,
    /// Its title; by default made from the branch.
    pub title: Option<String>,
}

/// `POST /_standin/pulls/close` and `…/reopen`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamePull {
    /// `owner/name`.
    pub repo: String,
    /// Its number.
    pub number: u64,
}

/// The answer to all of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// `owner/name`.
    pub repo: String,
    /// The address for `git clone`.
    pub clone_url: String,
    /// The pull request that was opened, closed or reopened.
    pub number: Option<u64>,
    /// The webhooks sent.
    pub deliveries: Vec<Delivery>,
}

/// The body of a refusal.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Refused {
    error: String,
}
