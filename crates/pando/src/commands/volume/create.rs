//! `pando volume create`.

use pando_types::volume::{CreateVolume, Volume};

use crate::client::{ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// What it is to be.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// What to call it; sandboxes have it at /volumes/NAME
    name: String,
    /// Its size in MiB; it takes as much disk as is written to it
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    size_mb: i64,
}

/// Prints the name, or the volume as JSON.
pub async fn run(client: &ClientArgs, args: CreateArgs) -> Result<(), Failure> {
    let request = CreateVolume { name: args.name, size_mb: args.size_mb };
    let answer = client.client()?.post("/volumes", &request).await?;
    if client.json {
        return output::json(&answer);
    }
    let volume: Volume = read(&answer)?;
    output::line(&volume.name)
}
