//! An app's environment on the wire: routes under `/v1/apps/{id}/env`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema::value::{EnvName, EnvText, EnvValue};

/// What a secret's value is shown as.
pub const MASK: &str = "••••••••";

/// Whether a variable can have this name. How long it may be is in [`limits`](crate::limits).
#[must_use]
pub fn is_name(name: &str) -> bool {
    let starts = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(starts)
        && name.bytes().all(|byte| starts(byte) || byte.is_ascii_digit())
}

/// Which deployments are given a variable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnvScope {
    /// The app's own and its previews'.
    #[default]
    All,
    /// The app's own alone.
    Production,
    /// Its previews' alone, whose code may come from a stranger.
    Preview,
}

impl EnvScope {
    /// Whether the app's own deployments are given it.
    #[must_use]
    pub const fn reaches_production(self) -> bool {
        matches!(self, Self::All | Self::Production)
    }

    /// Whether its previews are given it.
    #[must_use]
    pub const fn reaches_previews(self) -> bool {
        matches!(self, Self::All | Self::Preview)
    }
}

/// The text is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scope is `all`, `production` or `preview`")]
pub struct UnknownScope;

impl FromStr for EnvScope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        match text {
            "all" => Ok(Self::All),
            "production" => Ok(Self::Production),
            "preview" => Ok(Self::Preview),
            _ => Err(UnknownScope),
        }
    }
}

/// `PUT /v1/apps/{id}/env/{key}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SetEnv {
    /// Its value, given to the app byte for byte: nothing in it is expanded.
    #[schema(value_type = EnvValue)]
    pub value: String,
    /// Whether the value is never returned; default false.
    #[serde(default)]
    pub secret: bool,
    /// Which deployments are given it; default `all`.
    #[serde(default)]
    pub scope: EnvScope,
}

/// What `PUT /v1/apps/{id}/env/{key}` set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvSet {
    /// Its name.
    #[schema(value_type = EnvName)]
    pub key: String,
    /// Whether its value is never returned.
    pub secret: bool,
    /// Which deployments are given it.
    pub scope: EnvScope,
}

/// A variable, as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvEntry {
    /// Its name; twice in a list where previews are given another value.
    #[schema(value_type = EnvName)]
    pub key: String,
    /// Its value; `••••••••` where it is a secret.
    pub value: String,
    /// Whether its value is never returned.
    pub secret: bool,
    /// Which deployments are given it.
    pub scope: EnvScope,
}

/// `GET /v1/apps/{id}/env`: all of it, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvList {
    /// The variables.
    pub env: Vec<EnvEntry>,
}

/// `POST /v1/apps/{id}/env/import`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ImportEnv {
    /// The text of a `.env` file: `docs/apps.md` says how it is read.
    #[schema(value_type = EnvText)]
    pub dotenv: String,
    /// Whether the values are never returned; default false.
    #[serde(default)]
    pub secret: bool,
    /// Which deployments are given them; default `all`.
    #[serde(default)]
    pub scope: EnvScope,
}

/// What `POST /v1/apps/{id}/env/import` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvImported {
    /// The variables that were set.
    pub imported: usize,
    /// The lines that give a value: of a name that stands there twice, the last one counts.
    pub total: usize,
}
