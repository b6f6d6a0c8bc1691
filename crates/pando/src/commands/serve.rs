//! `pando serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use pando_deploy::DnsServer;
use pando_node::{Overcommit, WarmSlots};

use super::host_args::HostArgs;

/// Secrets have no flag: arguments are seen by every user of a machine.
const SECRETS: &str = "\
Secrets come by environment alone:
  PANDO_API_KEY                 an API key that is known beforehand
  PANDO_GITHUB_TOKEN            reads repositories, writes comments
  PANDO_GITHUB_WEBHOOK_SECRET   signs webhooks";

/// How to serve.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = SECRETS)]
pub struct ServeArgs {
    #[command(flatten)]
    pub host: HostArgs,
    /// Where to listen: the API, and every host under the suffix
    #[arg(long, default_value = "127.0.0.1:7070")]
    pub listen: SocketAddr,
    /// Where Prometheus finds /metrics, without a key; nowhere unless named: keep it to
    /// loopback or a network of your own
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// The suffix of preview hosts, with the port where it is not the scheme's own
    #[arg(long, default_value = "preview.localhost:7070")]
    pub suffix: String,
    /// The scheme that browsers use: https when TLS ends in front of Pando
    #[arg(long, value_enum, default_value_t = UrlScheme::Http)]
    pub scheme: UrlScheme,
    /// The forge's REST API
    #[arg(
        long,
        env = "PANDO_GITHUB_API_URL",
        value_name = "URL",
        default_value = "https://api.github.com"
    )]
    pub github_api: String,
    /// A host that repositories may be fetched from beside the forge's own (repeatable)
    #[arg(long, value_name = "HOST[:PORT]")]
    pub allow_git_host: Vec<String>,
    /// The resolver that domains of apps are looked up with, instead of this machine's own
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    pub dns_server: Option<DnsServer>,
    /// A file of those whose requests wake no sandbox that sleeps: a part of a User-Agent
    /// a line, instead of the list of link previews, crawlers and checks that is built in
    #[arg(long, value_name = "FILE")]
    pub quiet_agents: Option<PathBuf>,
    /// How many deployments are worked on at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// How many network slots are kept ready for creates to come: auto follows the demand
    #[arg(long, value_name = "auto|NUMBER", default_value = "auto")]
    pub warm_slots: WarmSlots,
    /// How many times this host's memory may be promised to sandboxes, which take little of
    /// it at first; 1 promises only what is there
    #[arg(long, value_name = "FACTOR", default_value = "10")]
    pub memory_overcommit: Overcommit,
}

/// The schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum UrlScheme {
    /// Plain HTTP
    Http,
    /// HTTP over TLS
    Https,
}
