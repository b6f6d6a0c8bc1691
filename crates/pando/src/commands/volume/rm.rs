//! `pando volume rm`.

use pando_types::volume;

use crate::client::ClientArgs;
use crate::commands::remove;
use crate::error::Failure;

/// Which ones.
#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// Their names
    #[arg(required = true, value_parser = name)]
    names: Vec<String>,
}

fn name(text: &str) -> Result<String, String> {
    if volume::is_name(text) { Ok(text.to_owned()) } else { Err("no name of a volume".to_owned()) }
}

/// Removes each; prints the names, or `{"removed": [name]}`.
pub async fn run(client: &ClientArgs, args: RmArgs) -> Result<(), Failure> {
    remove::each(client, "/volumes", &args.names).await
}
