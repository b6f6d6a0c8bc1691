//! One registry of id kinds. A raw `Uuid` appears only beside SQL.
//!
//! Every id is random and made before the work it names, so a retry finds what
//! the first try made. A sandbox id is UUIDv4 because it is also the credential
//! in the sandbox's hostname: it prints whole in answers to its owner, and
//! [`SandboxId::short`] is what goes into logs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Why a text is not an id: which noun was expected, and what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {noun} id (a UUID)")]
pub struct ParseIdError {
    noun: &'static str,
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $noun:literal, $new:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
        )]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, unlike any other.
            #[must_use]
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::$new())
            }

            /// The id that `uuid` is, for a row read back from SQL.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The first eight hex digits: enough for a log line, useless as a credential.
            #[must_use]
            pub fn short(&self) -> String {
                self.0.simple().to_string()[..8].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Takes the canonical form only (36 characters, lower case): an id
            /// has one spelling, so a hostname and a row always agree.
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bad = || ParseIdError { noun: $noun, text: text.chars().take(64).collect() };
                let uuid = Uuid::try_parse(text).map_err(|_| bad())?;
                if uuid.hyphenated().to_string() == text { Ok(Self(uuid)) } else { Err(bad()) }
            }
        }
    };
}

id!(/** One running or hibernated microVM. */ SandboxId, "sandbox", new_v4);
id!(/** The saved machine of a sandbox at a moment. */ SnapshotId, "snapshot", new_v4);
id!(/** A disk that outlives the sandboxes it is attached to. */ VolumeId, "volume", new_v4);
id!(/** What is run in a sandbox at certain times. */ ScheduleId, "schedule", new_v4);
id!(/** The children that one sandbox was forked into together. */ TreeId, "fork tree", new_v4);
id!(/** Who owns apps, sandboxes and keys. */ OrgId, "org", new_v4);
id!(/** One API key; the key itself is never stored. */ ApiKeyId, "api key", new_v4);
id!(/** A repository, a branch and settings, with a stable host. */ AppId, "app", new_v4);
id!(/** One attempt to make one commit of an app live. */ DeploymentId, "deployment", now_v7);
id!(/** One webhook's delivery, as it came here. */ DeliveryId, "delivery", now_v7);
id!(/** One app's claim to a domain. */ DomainId, "domain", new_v4);
id!(/** One attempt to make a template. */ TemplateBuildId, "template build", now_v7);
id!(/** A host that runs sandboxes; kept in its data folder for life. */ NodeId, "node", new_v4);
id!(/** One start of the server process on a node. */ BootId, "boot", now_v7);
id!(/** One unit of long work. */ JobId, "job", now_v7);
id!(/** One command to a node: repeated, it gets the remembered result. */ OpId, "operation", now_v7);

/// Fences a former owner of a sandbox: it only grows and is never reused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
pub struct Epoch(u64);

/// Counts the changes of one thing, so that an older report never replaces a newer one.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(transparent)]
pub struct Generation(u64);

macro_rules! counter {
    ($name:ident, $first:literal) => {
        impl $name {
            /// The first value.
            #[must_use]
            pub const fn first() -> Self {
                Self($first)
            }

            /// The next value: always greater.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }

            /// The number itself, for a row (`i64`: 63 bits outlast any sandbox).
            #[must_use]
            pub const fn to_row(self) -> i64 {
                self.0.cast_signed()
            }

            /// The value that a row holds.
            #[must_use]
            pub const fn from_row(value: i64) -> Self {
                Self(value.cast_unsigned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(Epoch, 1);
counter!(Generation, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = SandboxId::new();
        let text = id.to_string();
        assert_eq!(text.parse::<SandboxId>(), Ok(id));
        assert!(text.to_uppercase().parse::<SandboxId>().is_err() || text == text.to_uppercase());
        assert!(text.replace('-', "").parse::<SandboxId>().is_err());
        assert!(format!("{{{text}}}").parse::<SandboxId>().is_err());
    }

    #[test]
    fn counters_grow() {
        assert!(Epoch::first().next() > Epoch::first());
        assert_eq!(Generation::from_row(Generation::first().next().to_row()).to_string(), "1");
    }
}
