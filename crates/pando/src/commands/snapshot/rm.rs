//! `pando snapshot rm`.

use pando_types::SnapshotId;
use serde_json::json;

use crate::client::ClientArgs;
use crate::error::Failure;
use crate::output;

/// Which ones.
#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// Their ids
    #[arg(required = true)]
    ids: Vec<SnapshotId>,
}

/// Removes each; prints the ids, or `{"removed": [id]}`.
pub async fn run(client: &ClientArgs, args: RmArgs) -> Result<(), Failure> {
    let api = client.client()?;
    for id in &args.ids {
        api.delete(&format!("/snapshots/{id}")).await?;
        if !client.json {
            output::line(&id.to_string())?;
        }
    }
    if client.json { output::json(&json!({"removed": args.ids})) } else { Ok(()) }
}
