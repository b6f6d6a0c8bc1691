//! How a refusal or a failure reaches a person.
//!
//! Which type to use where:
//! - inside a crate: a small `thiserror` enum per module, cause in `#[source]`,
//!   not repeated in the text;
//! - at a crate's public face: that enum, with `fn public(&self) -> PublicError`
//!   (or `From<…> for PublicError`) beside it: the one place where it gets a
//!   stable code and a message that is safe to show;
//! - in the binary and in tests: `anyhow`.
//!
//! A [`PublicError`] holds nothing secret: no host path, no command line, no
//! cause chain. Whoever handles an error logs the chain there, once.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The stable codes. A client may match on these; messages may be reworded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A field is missing, of the wrong type or out of range (400).
    InvalidRequest,
    /// No key, or one that is not known (401).
    Unauthorized,
    /// The key is good but may not do this (403).
    Forbidden,
    /// There is no such thing, or it belongs to somebody else (404).
    NotFound,
    /// The thing's state, or another thing of that name, stands against it (409).
    Conflict,
    /// It was there and is gone for good (410).
    Gone,
    /// The body is larger than the limit (413).
    TooLarge,
    /// The `Idempotency-Key` came with another request before (422).
    IdempotencyKeyReused,
    /// The quota or the rate is used up (429).
    OverQuota,
    /// The server broke its own rules (500).
    Internal,
    /// Not built yet; never answered as if done (501).
    NotImplemented,
    /// The guest did not answer as it should (502).
    GuestFailed,
    /// No room or not ready: nothing was made, or it was ended; try again (503).
    Unavailable,
    /// A command or a wait ran past its limit (504).
    Timeout,
    /// No disk left on this node: nothing was made (507).
    InsufficientStorage,
}

impl Code {
    /// The HTTP status that carries this code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Gone => 410,
            Self::TooLarge => 413,
            Self::IdempotencyKeyReused => 422,
            Self::OverQuota => 429,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::GuestFailed => 502,
            Self::Unavailable => 503,
            Self::Timeout => 504,
            Self::InsufficientStorage => 507,
        }
    }
}

/// What a client sees when something is refused or fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicError {
    /// The stable code; it decides the status.
    pub code: Code,
    /// What happened and what mends it, in one or two sentences.
    pub message: String,
    /// The request field at fault, where one is.
    pub field: Option<String>,
    /// The next step, where the message does not hold it.
    pub hint: Option<String>,
    /// Seconds after which a retry is worth it (sent as `Retry-After`).
    pub retry_after_secs: Option<u32>,
}

impl PublicError {
    /// A refusal with this code and message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, hint: None, retry_after_secs: None }
    }

    /// A field that must change before the request can be taken.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(Code::InvalidRequest, message) }
    }

    /// There is no `noun` of that name or id.
    pub fn not_found(noun: &str, id: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("no {noun} `{id}`"))
    }

    /// A failure whose cause is in the log and not for the client.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Code::Internal, "the server failed; its log holds the cause")
    }

    /// The same error with a next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, secs: u32) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The JSON body.
    #[must_use]
    pub fn body(&self) -> Refusal {
        Refusal {
            error: self.message.clone(),
            code: self.code,
            field: self.field.clone(),
            hint: self.hint.clone(),
        }
    }
}

impl fmt::Display for PublicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PublicError {}

/// The body of every refusal. `error` is a string because public clients show it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// What happened and what mends it.
    pub error: String,
    /// The stable code.
    pub code: Code,
    /// The request field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The next step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
