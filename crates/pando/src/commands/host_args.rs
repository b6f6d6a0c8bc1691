//! What `serve`, `bake` and `teardown` must agree on to mean the same machines.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use pando_vm::cage::DEFAULT_FIRST_UID;

use crate::host::accel::Accel;

/// This host, as the operator wants it used.
#[derive(Debug, Clone, clap::Args)]
pub struct HostArgs {
    /// The data folder: templates, sandboxes, rows
    #[arg(long, env = "PANDO_DATA", default_value = "/var/lib/pando")]
    pub data: PathBuf,
    /// What runs guest instructions; auto takes KVM where the processor has it
    #[arg(long, env = "PANDO_ACCEL", value_enum, default_value_t = Accel::Auto)]
    pub accel: Accel,
    /// A guest kernel instead of the distribution's
    #[arg(long, env = "PANDO_KERNEL", value_name = "PATH")]
    pub kernel: Option<PathBuf>,
    /// Begins the name of every link, namespace and table, so that two servers can share a host
    #[arg(long, default_value = "pando")]
    pub network_prefix: String,
    /// The /16 whose addresses link sandboxes to the host
    #[arg(long, value_name = "ADDRESS", default_value = "10.213.0.0")]
    pub network_pool: Ipv4Addr,
    /// A private address or network, or one of the host's own links, that sandboxes may reach all the same (repeatable)
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    pub network_allow: Vec<String>,
    /// Let sandboxes send mail by SMTP's port 25, which is blocked otherwise
    #[arg(long)]
    pub network_allow_smtp: bool,
    /// The user and group id of the first machine's hypervisor; the next 4095 follow
    #[arg(long, value_name = "ID", default_value_t = DEFAULT_FIRST_UID)]
    pub vm_uid_base: u32,
}
