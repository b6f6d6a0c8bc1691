//! The host's side: its table, and making and removing slots.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pando_guest_protocol::{GATEWAY_ADDRESS, GATEWAY_MAC, GUEST_ADDRESS, GUEST_MAC, LINK_PREFIX};

use super::cidr::Cidr;
use super::config::NetworkConfig;
use super::resolvers::{ResolverError, resolvers};
use super::slot::{Slot, SlotNumber};
use super::{neighbours, rules, uplink};
use crate::sys::command::{CommandError, Tool};
use crate::sys::fault::{self, Fault};

const ADDRESSES: &str = "the host's addresses";
const NAMESPACES: &str = "/run/netns";
/// How long until what could not be brought up to date is tried again.
const RETRY: Duration = Duration::from_secs(5);
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// Makes and removes the slots of one server.
#[derive(Debug)]
pub struct Network {
    /// None for the null network.
    real: Option<Real>,
}

#[derive(Debug)]
struct Real {
    config: NetworkConfig,
    resolver: std::net::Ipv4Addr,
    mtu: u32,
}

/// Why the network is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No nameserver.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// A tool.
    #[error("setting it up")]
    Tool(#[from] CommandError),
    /// A kernel setting or a namespace.
    #[error("cannot use {what}")]
    Io {
        /// What was used.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> NetworkError {
    let what = what.into();
    move |source| NetworkError::Io { what, source }
}

impl Network {
    /// Puts the host's table and forwarding in place; fine when they are.
    ///
    /// # Errors
    /// Any [`NetworkError`].
    pub async fn prepare(config: NetworkConfig) -> Result<Self, NetworkError> {
        let resolvers = resolvers()?;
        let resolver = *resolvers.first().ok_or(ResolverError)?;
        let forwarding = fs::read_to_string(FORWARDING).map_err(io_error(FORWARDING))?;
        if forwarding.trim() != "1" {
            fs::write(FORWARDING, "1").map_err(io_error(FORWARDING))?;
        }
        let connected = neighbours::connected(&config).map_err(io_error(ADDRESSES))?;
        let text = rules::host(&config, &resolvers, &connected);
        Tool::new("nft", ["-f", "-"]).stdin(text.as_bytes()).run().await?;
        Ok(Self { real: Some(Real { config, resolver, mtu: uplink::mtu() }) })
    }

    /// Keeps the networks that the host is connected to denied, as its addresses come
    /// and go. Never returns.
    pub async fn follow_host(&self) {
        let Some(real) = &self.real else { return std::future::pending().await };
        loop {
            let Err(error) = real.follow_host().await;
            tracing::warn!(
                error = %error,
                cause = std::error::Error::source(&error).map(tracing::field::display),
                "what the host is connected to is not denied anew yet"
            );
            tokio::time::sleep(RETRY).await;
        }
    }

    /// A network without namespaces, for tests of policy: its slots are the
    /// namespace of the thread that makes them.
    #[must_use]
    pub fn null() -> Self {
        Self { real: None }
    }

    /// The MTU that guests must keep to, in bytes.
    #[must_use]
    pub fn mtu(&self) -> u32 {
        self.real.as_ref().map_or(1500, |real| real.mtu)
    }

    /// Makes a slot, in place of whatever was left of one of that number.
    ///
    /// # Errors
    /// Any [`NetworkError`]; nothing of the slot is then left.
    pub async fn create_slot(&self, number: SlotNumber) -> Result<Slot, NetworkError> {
        let Some(real) = &self.real else { return self.open_slot(number) };
        real.remove(number).await?;
        if let Err(error) = real.create(number).await {
            // Why it was not made says more than why its rest was not removed;
            // the next use of the number removes that first.
            if let Err(error) = real.remove(number).await {
                tracing::warn!(%error, slot = number.number(), "a half-made slot stays");
            }
            return Err(error);
        }
        self.open_slot(number)
    }

    /// A slot that exists.
    ///
    /// # Errors
    /// [`NetworkError::Io`] when it does not.
    pub fn open_slot(&self, number: SlotNumber) -> Result<Slot, NetworkError> {
        let path = match &self.real {
            Some(real) => real.path(number),
            None => "/proc/thread-self/ns/net".into(),
        };
        let namespace = File::open(&path).map_err(io_error(path.display().to_string()))?;
        Ok(Slot::new(number, namespace.into()))
    }

    /// Denies the guest of a slot these addresses and no others, whatever all guests
    /// may reach; what it has open there goes dumb. The host still reaches the guest.
    ///
    /// # Errors
    /// Any [`NetworkError`].
    pub async fn deny(&self, number: SlotNumber, denied: &[Cidr]) -> Result<(), NetworkError> {
        match &self.real {
            Some(real) => real.load(number, &rules::deny(denied)).await,
            None => Ok(()),
        }
    }

    /// Removes a slot; fine when there is none.
    ///
    /// # Errors
    /// Any [`NetworkError`].
    pub async fn remove_slot(&self, number: SlotNumber) -> Result<(), NetworkError> {
        match &self.real {
            Some(real) => real.remove(number).await,
            None => Ok(()),
        }
    }

    /// The slots that exist, whoever made them.
    ///
    /// # Errors
    /// When the namespaces cannot be listed.
    pub fn list_slots(&self) -> Result<Vec<SlotNumber>, NetworkError> {
        let Some(real) = &self.real else { return Ok(Vec::new()) };
        let entries = match fs::read_dir(NAMESPACES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(io_error(NAMESPACES))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| real.config.slot_of(&name)).collect())
    }

    /// Removes every slot, and the table.
    ///
    /// # Errors
    /// Any [`NetworkError`].
    pub async fn remove_all(&self) -> Result<(), NetworkError> {
        for number in self.list_slots()? {
            self.remove_slot(number).await?;
        }
        if let Some(real) = &self.real {
            let table = real.config.table();
            // Naming it first makes the deletion fine when there is none.
            let text = format!("table inet {table} {{}}\ndelete table inet {table}\n");
            Tool::new("nft", ["-f", "-"]).stdin(text.as_bytes()).run().await?;
        }
        Ok(())
    }
}

impl Real {
    async fn follow_host(&self) -> Result<std::convert::Infallible, NetworkError> {
        // Heard first, read then: nothing falls between.
        let watch = neighbours::Watch::new(&self.config).map_err(io_error(ADDRESSES))?;
        let mut known = None;
        loop {
            let connected = neighbours::connected(&self.config).map_err(io_error(ADDRESSES))?;
            if known.as_ref() != Some(&connected) {
                let text = rules::reconnect(&self.config, &connected);
                Tool::new("nft", ["-f", "-"]).stdin(text.as_bytes()).run().await?;
                known = Some(connected);
            }
            watch.changed().await.map_err(io_error(ADDRESSES))?;
        }
    }

    fn path(&self, number: SlotNumber) -> PathBuf {
        PathBuf::from(NAMESPACES).join(self.config.namespace(number))
    }

    async fn create(&self, number: SlotNumber) -> Result<(), NetworkError> {
        let (name, link, mtu) = (self.config.namespace(number), self.config.link(number), self.mtu);
        let (outside, inside) = self.config.link_addresses(number);
        let host = format!(
            "netns add {name}\n\
             link add {link} mtu {mtu} type veth peer name up0 netns {name}\n\
             address add {outside}/31 dev {link}\n\
             link set {link} up\n"
        );
        Tool::new("ip", ["-batch", "-"]).stdin(host.as_bytes()).run().await?;
        let no_ipv6 = format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6");
        fs::write(&no_ipv6, "1").or_else(absent).map_err(io_error(no_ipv6))?;
        fault::point(Fault::SlotHalfMade);
        let slot = File::open(self.path(number)).map_err(io_error(&name))?;
        // Before any link is up in there: no address is ever made up for IPv6.
        Slot::new(number, slot.into())
            .enter(|| {
                fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").or_else(absent)?;
                fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").or_else(absent)?;
                fs::write(FORWARDING, "1")
            })
            .map_err(io_error(format!("the namespace {name}")))?;
        let inner = format!(
            "tuntap add tap0 mode tap\n\
             link set tap0 address {GATEWAY_MAC} mtu {mtu} up\n\
             address add {GATEWAY_ADDRESS}/{LINK_PREFIX} dev tap0\n\
             neighbour replace {GUEST_ADDRESS} lladdr {GUEST_MAC} dev tap0 nud permanent\n\
             address add {inside}/31 dev up0\n\
             link set up0 mtu {mtu} up\n\
             route add default via {outside}\n"
        );
        Tool::new("ip", ["-netns", &name, "-batch", "-"]).stdin(inner.as_bytes()).run().await?;
        self.load(number, &rules::namespace(self.resolver)).await
    }

    /// Loads rules in a slot's namespace.
    async fn load(&self, number: SlotNumber, rules: &str) -> Result<(), NetworkError> {
        let name = self.config.namespace(number);
        let enter = ["netns", "exec", &name, "nft", "-f", "-"];
        Tool::new("ip", enter).stdin(rules.as_bytes()).run().await?;
        Ok(())
    }

    /// The namespace goes with its links and rules; the host's end of the link
    /// goes with its peer, a moment later, so it is removed by name as well.
    async fn remove(&self, number: SlotNumber) -> Result<(), NetworkError> {
        let link = self.config.link(number);
        if PathBuf::from("/sys/class/net").join(&link).exists() {
            let removed = Tool::new("ip", ["link", "delete", &link]).run().await;
            // It may have gone by itself meanwhile.
            if PathBuf::from("/sys/class/net").join(&link).exists() {
                removed?;
            }
        }
        if self.path(number).exists() {
            let name = self.config.namespace(number);
            Tool::new("ip", ["netns", "delete", &name]).run().await?;
        }
        Ok(())
    }
}

/// A kernel without IPv6 has nothing to switch off.
fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
