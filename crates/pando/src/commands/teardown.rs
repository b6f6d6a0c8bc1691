//! `pando teardown`.

use super::host_args::HostArgs;

/// Whose leftovers. Templates, rows and mirrors stay.
#[derive(Debug, Clone, clap::Args)]
pub struct TeardownArgs {
    #[command(flatten)]
    pub host: HostArgs,
    /// Leave the pool mounted
    #[arg(long)]
    pub keep_mount: bool,
}
