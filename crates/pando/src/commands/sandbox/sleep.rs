//! `pando sandbox hibernate` and `pando sandbox wake`.

use pando_types::SandboxId;
use serde_json::{Value, json};

use crate::client::ClientArgs;
use crate::error::Failure;
use crate::output;

/// Which ones.
#[derive(Debug, clap::Args)]
pub struct SleepArgs {
    /// Their ids
    #[arg(required = true)]
    ids: Vec<SandboxId>,
}

/// What is done to each.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// It is saved, and its machine ends.
    Hibernate,
    /// A machine goes on where it was.
    Wake,
}

/// Changes each; prints the ids, or the sandboxes as JSON.
pub async fn run(client: &ClientArgs, args: SleepArgs, change: Change) -> Result<(), Failure> {
    let api = client.client()?;
    let verb = match change {
        Change::Hibernate => "hibernate",
        Change::Wake => "wake",
    };
    let mut changed = Vec::new();
    for id in &args.ids {
        changed.push(api.post(&format!("/sandboxes/{id}/{verb}"), &Value::Null).await?);
        if !client.json {
            output::line(&id.to_string())?;
        }
    }
    if client.json { output::json(&json!({ "items": changed })) } else { Ok(()) }
}
