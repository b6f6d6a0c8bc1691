//! `pando snapshot rm`.

use pando_types::SnapshotId;

use crate::client::ClientArgs;
use crate::commands::remove;
use crate::error::Failure;

/// Which ones.
#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// Their ids
    #[arg(required = true)]
    ids: Vec<SnapshotId>,
}

/// Removes each; prints the ids, or `{"removed": [id]}`.
pub async fn run(client: &ClientArgs, args: RmArgs) -> Result<(), Failure> {
    remove::each(client, "/snapshots", &args.ids).await
}
