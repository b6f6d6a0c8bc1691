//! `pando doctor`.

use std::path::PathBuf;

/// What to look at.
#[derive(Debug, Clone, clap::Args)]
pub struct DoctorArgs {
    /// The data folder
    #[arg(long, env = "PANDO_DATA", default_value = "/var/lib/pando")]
    pub data: PathBuf,
    /// Print the checks as JSON
    #[arg(long)]
    pub json: bool,
}
