//! How deployments are set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pando_types::BootId;
use pando_types::url::PublicUrls;

use crate::dns::DnsServer;
use crate::forge::Forge;
use crate::git::HostPort;
use crate::secret::Secret;

/// How long an app may take from its start until it answers.
const HEALTH_GRACE: Duration = Duration::from_secs(120);
/// How long the former version goes on after a flip, for requests under way.
const DRAIN: Duration = Duration::from_secs(5);
/// How often pull requests with previews are asked after.
const PULL_REQUESTS_EVERY: Duration = Duration::from_secs(3600);
/// How long an app that answers is watched while another version of it serves.
const SETTLE_BESIDE: Duration = Duration::from_secs(5);
/// Deployments at once.
const WORKERS: usize = 2;

/// How deployments are set up.
#[derive(Clone)]
pub struct DeployConfig {
    /// The data folder; mirrors are kept below it.
    pub data: PathBuf,
    /// Where apps are reached.
    pub urls: PublicUrls,
    /// This start of the server.
    pub boot: BootId,
    /// Whom to tell about previews.
    pub forge: Option<Arc<dyn Forge>>,
    /// What webhooks are signed with; without it none are taken.
    pub webhook_secret: Option<Secret>,
    /// Git hosts that may be reached without TLS, and at private addresses.
    pub allowed_git_hosts: Vec<HostPort>,
    /// Where domains of apps' own are looked up.
    pub dns: DnsServer,
    /// Deployments at once.
    pub workers: usize,
    /// How long an app may take from its start until it answers.
    pub health_grace: Duration,
    /// How long an app that answers is watched while another version of it serves.
    pub settle_beside: Duration,
    /// How long the former version goes on after a flip.
    pub drain: Duration,
    /// How often the forge is asked after pull requests with previews: the event of their closing
    /// may never come.
    pub pull_requests_every: Duration,
}

impl DeployConfig {
    /// No forge, no webhooks, public hosts only.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, urls: PublicUrls, boot: BootId) -> Self {
        Self {
            data: data.into(),
            urls,
            boot,
            forge: None,
            webhook_secret: None,
            allowed_git_hosts: Vec::new(),
            dns: DnsServer::default(),
            workers: WORKERS,
            health_grace: HEALTH_GRACE,
            settle_beside: SETTLE_BESIDE,
            drain: DRAIN,
            pull_requests_every: PULL_REQUESTS_EVERY,
        }
    }
}
