//! `pando sandbox create`.

use pando_types::SnapshotId;
use pando_types::sandbox::{CreateSandbox, Sandbox};

use crate::client::{ClientArgs, read};
use crate::commands::pair;
use crate::error::Failure;
use crate::output::{self, Progress};

/// What it is to be.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The template
    #[arg(long)]
    template: Option<String>,
    /// Go on from this snapshot; template and size are then its own
    #[arg(long, value_name = "ID", conflicts_with_all = ["template", "cpu", "memory_mb"])]
    from_snapshot: Option<SnapshotId>,
    /// vCPUs
    #[arg(long)]
    cpu: Option<i64>,
    /// Memory in MiB, in steps of 256
    #[arg(long)]
    memory_mb: Option<i64>,
    /// Seconds until it is removed
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<i64>,
    /// Keep it until it is removed by hand, unless --ttl says otherwise
    #[arg(long)]
    persistent: bool,
    /// A pair to find it by (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair::parse)]
    metadata: Vec<(String, String)>,
    /// An address or network that it may not reach; 0.0.0.0/0 for all (repeatable)
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    egress_deny: Vec<String>,
}

/// Prints the id, or the sandbox as JSON.
pub async fn run(client: &ClientArgs, args: CreateArgs) -> Result<(), Failure> {
    let request = CreateSandbox {
        template: args.template,
        cpu: args.cpu,
        memory_mb: args.memory_mb,
        from_snapshot: args.from_snapshot.map(|id| id.to_string()),
        ttl_seconds: args.ttl,
        persistent: args.persistent.then_some(true),
        metadata: pair::map(args.metadata),
        egress_deny: (!args.egress_deny.is_empty()).then_some(args.egress_deny),
        ..CreateSandbox::default()
    };
    let progress = Progress::start("creating a sandbox");
    let answer = client.client()?.post("/sandboxes", &request).await?;
    drop(progress);
    if client.json {
        return output::json(&answer);
    }
    let sandbox: Sandbox = read(&answer)?;
    output::say(&format!("its ports: {}", sandbox.url_template));
    output::line(&sandbox.id.to_string())
}
