//! `pando doctor`.

use std::path::PathBuf;

use pando_vm::cage::DEFAULT_FIRST_UID;

/// What to look at.
#[derive(Debug, Clone, clap::Args)]
pub struct DoctorArgs {
    /// The data folder
    #[arg(long, env = "PANDO_DATA", default_value = "/var/lib/pando")]
    pub data: PathBuf,
    /// The user and group id of the first machine's hypervisor
    #[arg(long, value_name = "ID", default_value_t = DEFAULT_FIRST_UID)]
    pub vm_uid_base: u32,
    /// Print the checks as JSON
    #[arg(long)]
    pub json: bool,
}
