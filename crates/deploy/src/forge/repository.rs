//! A repository, and times, in the forge's words.

use chrono::DateTime;
use pando_types::Timestamp;
use pando_types::limits::MAX_REPOSITORY_NAME_BYTES;
use serde::{Deserialize, Deserializer};

/// A repository as the forge knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Repository {
    pub full_name: String,
    pub clone_url: String,
    pub html_url: String,
    /// Its host and port may be others than those of https.
    #[serde(default)]
    pub ssh_url: String,
    /// The forge's number of it.
    #[serde(default)]
    pub id: Option<u64>,
    /// When it was last pushed to; in seconds since 1970 where the event is a push, and else a text
    /// that nobody needs.
    #[serde(default, deserialize_with = "seconds")]
    pub pushed_at: Option<Timestamp>,
}

impl Repository {
    /// Whether its name can be one: it goes into addresses of the forge's API.
    pub(crate) fn has_full_name(&self) -> bool {
        is_full_name(&self.full_name)
    }
}

/// Whether a text can be the name of a repository, `owner/repo`.
pub(crate) fn is_full_name(text: &str) -> bool {
    let good = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
    };
    text.len() <= MAX_REPOSITORY_NAME_BYTES
        && text.split('/').count() >= 2
        && text.split('/').all(good)
}

/// A time as forges write it; none where it is none.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(Timestamp::from_millis(time.timestamp_millis()))
}

fn seconds<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Timestamp>, D::Error> {
    let value = serde_json::Value::deserialize(value)?;
    let millis = value.as_i64().and_then(|seconds| seconds.checked_mul(1000));
    Ok(millis.map(Timestamp::from_millis))
}
