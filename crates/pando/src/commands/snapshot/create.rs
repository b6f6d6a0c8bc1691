//! `pando snapshot create`.

use pando_types::SandboxId;
use pando_types::snapshot::{Snapshot, TakeSnapshot};

use crate::client::{ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// Of which.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The sandbox
    sandbox: SandboxId,
    /// What to call it
    #[arg(long)]
    name: Option<String>,
}

/// Prints the id, or the snapshot as JSON.
pub async fn run(client: &ClientArgs, args: CreateArgs) -> Result<(), Failure> {
    let path = format!("/sandboxes/{}/snapshots", args.sandbox);
    let answer = client.client()?.post(&path, &TakeSnapshot { name: args.name }).await?;
    if client.json {
        return output::json(&answer);
    }
    let snapshot: Snapshot = read(&answer)?;
    output::say(&format!("the sandbox stood still for {} ms", snapshot.pause_ms));
    output::line(&snapshot.id.to_string())
}
