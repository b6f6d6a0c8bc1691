//! `pando sandbox schedule rm`.

use pando_types::{SandboxId, ScheduleId};
use serde_json::json;

use crate::client::ClientArgs;
use crate::error::Failure;
use crate::output;

/// Which ones.
#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// The sandbox
    id: SandboxId,
    /// The ids of its schedules
    #[arg(required = true)]
    schedules: Vec<ScheduleId>,
}

/// Removes each; prints the ids, or `{"removed": [id]}`.
pub async fn run(client: &ClientArgs, args: RmArgs) -> Result<(), Failure> {
    let api = client.client()?;
    for schedule in &args.schedules {
        api.delete(&format!("/sandboxes/{}/schedules/{schedule}", args.id)).await?;
        if !client.json {
            output::line(&schedule.to_string())?;
        }
    }
    if client.json { output::json(&json!({"removed": args.schedules})) } else { Ok(()) }
}
