//! What a good `pando.toml` says. What may stand in it is for [`super::keys`] to say: here
//! it was checked already.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::detect::{Framework, Protocol};

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Manifest {
    pub build: Build,
    pub release: Release,
    pub web: Web,
    /// None where the Procfile's count; empty for none at all.
    pub workers: Option<BTreeMap<String, Worker>>,
    pub cron: BTreeMap<String, Cron>,
    pub env: BTreeMap<String, String>,
    pub resources: Resources,
    pub production: Stage,
    pub preview: Stage,
}

/// Commands are as in [`crate::detect::Settings`]: an empty one means none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Build {
    pub framework: Option<Framework>,
    pub install: Option<String>,
    pub command: Option<String>,
    pub secrets: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Release {
    pub command: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Web {
    pub command: Option<String>,
    pub folder: Option<String>,
    pub single_page: Option<bool>,
    pub port: Option<u16>,
    pub health: Health,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Health {
    pub protocol: Option<Protocol>,
    pub path: Option<String>,
    pub grace_seconds: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Worker {
    pub command: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cron {
    pub schedule: String,
    pub command: String,
    pub timeout_seconds: Option<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Resources {
    pub cpu: Option<u32>,
    pub memory_mb: Option<u32>,
}

/// What holds in production, or in previews, alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stage {
    pub env: BTreeMap<String, String>,
    pub cron: Option<bool>,
    /// 0 for never.
    pub idle_minutes: Option<u32>,
}
