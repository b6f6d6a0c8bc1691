//! Starting what runs on this host: hypervisor, network, node. `serve`, `bake`
//! and `teardown` share it.

pub(crate) mod accel;
pub(crate) mod doctor;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use pando_node::{
    BakeError, DataDir, DataError, Node, NodeConfig, NodeError, Overcommit, Report, WarmSlots,
};
use pando_types::{NodeId, SystemClock};
use pando_vm::cage::{CageConfig, PRELOAD_FILE};
use pando_vm::driver::qemu::Qemu;
use pando_vm::driver::{Caching, Hypervisor};
use pando_vm::network::{Mail, Network, NetworkConfig};
use tokio::sync::mpsc;

use accel::Accel;

use crate::commands::host_args::HostArgs;
use crate::error::Advice;

/// What the operator says about this host.
#[derive(Debug, Clone)]
pub(crate) struct HostOptions {
    pub data: PathBuf,
    pub accel: Accel,
    pub kernel: Option<PathBuf>,
    pub network: NetworkOptions,
    pub warm_slots: WarmSlots,
    pub overcommit: Overcommit,
    /// The user id of the first slot's VMM; the others' follow.
    pub first_uid: u32,
}

/// What tells this server's links, namespaces and table from another's.
#[derive(Debug, Clone)]
pub(crate) struct NetworkOptions {
    /// Begins the name of every link, namespace and table.
    pub prefix: String,
    /// The /16 whose addresses link namespaces to the host.
    pub pool: Ipv4Addr,
    /// Private or adjacent addresses and networks that guests may reach all the same.
    pub allow: Vec<String>,
    /// Whether guests may send mail by port 25.
    pub mail: Mail,
}

impl From<&HostArgs> for HostOptions {
    fn from(args: &HostArgs) -> Self {
        Self {
            data: args.data.clone(),
            accel: args.accel,
            kernel: args.kernel.clone(),
            network: NetworkOptions {
                prefix: args.network_prefix.clone(),
                pool: args.network_pool,
                allow: args.network_allow.clone(),
                mail: if args.network_allow_smtp { Mail::Allowed } else { Mail::Blocked },
            },
            // Only a server has creates to come.
            warm_slots: WarmSlots::Fixed(0),
            overcommit: Overcommit::default(),
            first_uid: args.vm_uid_base,
        }
    }
}

/// A started node.
pub(crate) struct Host {
    pub data: DataDir,
    pub node: Node,
    pub node_id: NodeId,
    pub reports: mpsc::Receiver<Report>,
}

/// Starts the node of this host.
pub(crate) async fn start(options: &HostOptions) -> anyhow::Result<Host> {
    anyhow::ensure!(
        rustix::process::geteuid().is_root(),
        "pando must run as root on this host: it makes namespaces, mounts and firewall rules"
    );
    let data = DataDir::open(&options.data).await.map_err(no_data)?;
    let node_id = data.node_id()?;
    let accelerator = options.accel.choose();
    let cage = CageConfig {
        folder: data.room(),
        group: format!("{}-machines", options.network.prefix),
        first_uid: options.first_uid,
        preload: beside_us("PANDO_VMM_PRELOAD", PRELOAD_FILE)?,
    };
    let caching = if data.is_sparse() { Caching::None } else { Caching::Host };
    let hypervisor: Arc<dyn Hypervisor> = Arc::new(
        Qemu::new(accelerator, caching, cage)
            .await
            .context("QEMU cannot be used; `pando doctor` says what is missing")?,
    );
    let network =
        Network::prepare(network_config(&options.network)?).await.context("the network")?;
    let (node, reports) = Node::start(NodeConfig {
        data: data.clone(),
        hypervisor,
        network,
        kernel: options.kernel.clone(),
        agent: agent_path()?,
        progress: Arc::new(|line| eprintln!("bake: {line}")),
        clock: Arc::new(SystemClock),
        warm_slots: options.warm_slots,
        overcommit: options.overcommit,
    })
    .await?;
    Ok(Host { data, node, node_id, reports })
}

fn no_data(error: DataError) -> anyhow::Error {
    let hint = match &error {
        DataError::InUse { .. } => {
            "`pgrep -af pando` lists what runs: a server, a bake or a teardown"
        }
        DataError::NoSpace { .. } => "free some, or name another folder with --data",
        _ => "`pando doctor --data FOLDER` checks whether the folder can be used",
    };
    let what = "the data folder cannot be used".to_owned();
    anyhow::Error::new(error).context(Advice { what, hint: hint.to_owned() })
}

/// A bake's error with what to do about it: most often the kernel does not fit.
pub(crate) fn not_baked(options: &HostOptions, error: NodeError) -> anyhow::Error {
    let hint = match &error {
        NodeError::UnknownTemplate { .. } => "name one of those with --template".to_owned(),
        NodeError::Bake(BakeError::Machine(_)) => match (&options.kernel, options.accel) {
            (Some(kernel), _) => format!(
                "is {} fit? --kernel takes an image with virtio-mmio and ext4 built in, or a \
                 Debian kernel package; without --kernel, Debian's cloud kernel is used",
                kernel.display()
            ),
            (None, Accel::Kvm) => "Debian's cloud kernel does not run on every KVM: name one that \
                                   does with --kernel PATH, or leave --accel kvm out: guests run \
                                   by translation where the processor shows no KVM"
                .to_owned(),
            (None, Accel::Auto | Accel::Tcg) => {
                "was the host too busy? Try again; `pando doctor` checks whether it is ready"
                    .to_owned()
            }
        },
        _ => return error.into(),
    };
    let what = "the template cannot be baked".to_owned();
    anyhow::Error::new(error).context(Advice { what, hint })
}

/// The network as `options` want it.
pub(crate) fn network_config(options: &NetworkOptions) -> anyhow::Result<NetworkConfig> {
    let config = NetworkConfig::new(&options.prefix, options.pool, &options.allow);
    Ok(config.context("the network options")?.with_mail(options.mail))
}

/// The guest agent's program: `PANDO_GUEST_AGENT`, or beside this program.
pub(crate) fn agent_path() -> anyhow::Result<PathBuf> {
    beside_us("PANDO_GUEST_AGENT", "pando-guest-agent")
}

/// A file that is installed beside this program, where the environment names no other.
fn beside_us(variable: &str, name: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let program = std::env::current_exe().context("where this program is")?;
    Ok(program.parent().unwrap_or(Path::new("/")).join(name))
}
