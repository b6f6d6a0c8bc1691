//! A stand-in for GitHub, for the demo and the end-to-end tests.
//!
//! [`Forge::start`] serves, on one listener:
//! - real git over smart HTTP at `/{owner}/{name}.git` (`git`): anyone reads;
//!   pushing takes the token, or a client on this machine;
//! - the REST calls that Pando makes, with GitHub's paths, bodies and refusals,
//!   at `/repos/…` (`rest`; the JSON objects are built in `shape`);
//! - a small control route at `/_standin/…` for the demo's command line (`standin`).
//!
//! Whatever changes a branch (a real `git push`, [`Repo::push`], a merge) goes
//! through `change`, which compares the branches before and after and sends the
//! webhooks that GitHub would (`hook`), signed. Read `forge.rs` and `repo/mod.rs` first.
//!
//! Repositories live on disk; pull requests, comments and statuses in memory.
//! The stand-in never decides anything about Pando, never reads the user's git
//! configuration, and answers 501 where it does not play GitHub: it never
//! answers as if it did. That it speaks as GitHub does is checked by `contract`
//! (a feature) against GitHub's own OpenAPI document.

mod change;
#[cfg(feature = "contract")]
pub mod contract;
mod demo;
mod error;
mod forge;
mod git;
mod hook;
mod name;
mod pull;
mod record;
mod repo;
mod rest;
mod shape;
pub mod standin;
mod state;

pub use error::ForgeError;
pub use forge::{Forge, Settings};
pub use git::GitError;
pub use hook::{Answer, Delivery, Webhook, sign};
pub use name::RepoName;
pub use record::{Exchange, Recording, RestExchange, WebhookExchange};
pub use repo::{PullRequest, Pushed, Repo};
pub use state::{Comment, Permission, Status};
