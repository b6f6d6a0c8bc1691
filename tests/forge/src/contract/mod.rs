//! Whether an exchange is one that GitHub could have had: judged by GitHub's own
//! OpenAPI document, as published in the npm package `@octokit/openapi`.
//!
//! A request must be one that GitHub documents (path, method, query, body), and
//! holds nothing that GitHub would silently ignore; an answer must have a
//! documented status and every required field, in the right form; a webhook's
//! payload must fit its event's schema. What GitHub says in prose, not in the
//! document (it wants a `User-Agent`, and may answer 401 anywhere), is here too.

mod check_rest;
mod check_webhook;
mod route;
mod schema;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Exchange;

/// The variable that names the document where it is not in its usual place.
pub const DOCUMENT_VARIABLE: &str = "PANDO_GITHUB_OPENAPI";
/// Where `npm` puts the document, under this crate's `contract` folder.
const INSTALLED: &str = "contract/node_modules/@octokit/openapi/generated/api.github.com.json";

/// Why there is nothing to judge by.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The document is not there.
    #[error(
        "GitHub's OpenAPI document is not at {path}: fetch it with \
         `npm ci --ignore-scripts --prefix {folder}`, or name one in {DOCUMENT_VARIABLE}"
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// Where its package is named.
        folder: PathBuf,
        /// Why it could not be read.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{0} is not GitHub's OpenAPI document")]
    Unreadable(PathBuf),
}

/// An exchange that GitHub would not have had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{exchange}: {reason}")]
pub struct Breach {
    /// Which exchange: its method and path, or its event.
    pub exchange: String,
    /// Every fault found in one part of it.
    pub reason: String,
}

/// GitHub's OpenAPI document.
#[derive(Debug)]
pub struct Contract {
    document: Value,
}

impl Contract {
    /// The document of [`DOCUMENT_VARIABLE`], or the one that npm installed.
    ///
    /// # Errors
    /// [`ContractError`], which says how to get the document.
    pub fn load() -> Result<Self, ContractError> {
        let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED);
        Self::read(&std::env::var_os(DOCUMENT_VARIABLE).map_or_else(installed, PathBuf::from))
    }

    /// The document at `path`.
    ///
    /// # Errors
    /// [`ContractError`].
    pub fn read(path: &Path) -> Result<Self, ContractError> {
        let bytes = std::fs::read(path).map_err(|source| ContractError::Missing {
            path: path.to_owned(),
            folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("contract"),
            source,
        })?;
        let unreadable = || ContractError::Unreadable(path.to_owned());
        let document: Value = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
        let whole =
            ["paths", "x-webhooks", "components"].iter().all(|part| document[part].is_object());
        if whole { Ok(Self { document }) } else { Err(unreadable()) }
    }

    /// Judges one exchange.
    ///
    /// # Errors
    /// [`Breach`].
    pub fn check(&self, exchange: &Exchange) -> Result<(), Breach> {
        let (name, result) = match exchange {
            Exchange::Rest(rest) => {
                let name = format!("{} {} → {}", rest.method, rest.path, rest.status);
                (name, check_rest::check(&self.document, rest))
            }
            Exchange::Webhook(webhook) => {
                let name = match &webhook.action {
                    Some(action) => format!("webhook {} {action}", webhook.event),
                    None => format!("webhook {}", webhook.event),
                };
                (name, check_webhook::check(&self.document, webhook))
            }
        };
        result.map_err(|reason| Breach { exchange: name, reason })
    }
}
