//! `pando sandbox lease`.

use pando_types::SandboxId;
use pando_types::sandbox::{Lifecycle, TakeLease};

use crate::client::{ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// Which one, and for how long.
#[derive(Debug, clap::Args)]
pub struct LeaseArgs {
    /// Its id
    id: SandboxId,
    /// Seconds from now, up to a day; they count instead of what an earlier lease has left
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    seconds: i64,
    /// End its lease
    #[arg(long, conflicts_with = "seconds")]
    end: bool,
}

/// Takes or ends it; prints until when it keeps the sandbox awake, or the lifecycle as JSON.
pub async fn run(client: &ClientArgs, args: LeaseArgs) -> Result<(), Failure> {
    let (api, path) = (client.client()?, format!("/sandboxes/{}/lease", args.id));
    let answer = if args.end {
        api.delete(&path).await?
    } else {
        api.post(&path, &TakeLease { seconds: args.seconds }).await?
    };
    if client.json {
        return output::json(&answer);
    }
    let lifecycle: Lifecycle = read(&answer)?;
    match lifecycle.leased_until {
        Some(until) => output::line(&until),
        None => {
            output::say("no lease keeps it awake");
            Ok(())
        }
    }
}
