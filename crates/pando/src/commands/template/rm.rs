//! `pando template rm`.

use crate::client::ClientArgs;
use crate::commands::remove;
use crate::error::Failure;

/// Which ones.
#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// Their names
    #[arg(required = true)]
    names: Vec<String>,
}

/// Removes each; prints the names, or `{"removed": [name]}`.
pub async fn run(client: &ClientArgs, args: RmArgs) -> Result<(), Failure> {
    let is_odd = |name: &&String| name.is_empty() || name.contains(['/', '?', '#', '%']);
    if let Some(name) = args.names.iter().find(is_odd) {
        let message = format!("`{name}` is no name of a template");
        return Err(Failure::usage(message, "`pando template ls` lists them"));
    }
    remove::each(client, "/templates", &args.names).await
}
