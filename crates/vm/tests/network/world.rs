//! Two slots with a stand-in for each guest, and a stand-in for everything around:
//!
//! ```text
//! <prefix>-guest1 eth0 ══ tap0 │ slot 1 ══╗
//!                                         host ══ <prefix>near │ eth0, and lo with
//! <prefix>-guest2 eth0 ══ tap0 │ slot 2 ══╝                    addresses far and near
//! ```
//!
//! The stand-in guests hang on a veth in the place of the tap, under its name:
//! the rules see no difference.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pando_guest_protocol::{GATEWAY_ADDRESS, GATEWAY_MAC, GUEST_ADDRESS, GUEST_MAC, LINK_PREFIX};
use pando_vm::network::{Network, NetworkConfig, Slot, SlotNumber};
use tokio::task::JoinHandle;

use crate::place::{HOST, Place, ip_batch};
use crate::swept::{RESOLVERS, Swept};

const PREFIX: &str = "vmnet";
const POOL: Ipv4Addr = Ipv4Addr::new(10, 219, 0, 0);
const NUMBERS: [u32; 2] = [1, 2];

/// The host's end of its link to the stand-in for everything around.
pub const HOST_NEAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 217);
/// The other end. As public as [`PUBLIC`], but next to the host.
pub const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 218);
/// Looks like the public internet: a documentation range, in a corner of it that
/// is of no use to hosts which themselves live in such ranges.
pub const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 225);
/// Private, but the operator allowed it.
pub const ALLOWED: Ipv4Addr = Ipv4Addr::new(10, 77, 213, 1);
/// One of each kind that no guest reaches. Addresses that nothing on a real host
/// is likely to use, for the routes to them are this host's while the test runs:
/// 169.254.169.254 itself may serve the machine that we are.
pub const DENIED: [Ipv4Addr; 6] = [
    Ipv4Addr::new(10, 77, 213, 2),
    Ipv4Addr::new(100, 64, 213, 1),
    Ipv4Addr::new(169, 254, 213, 1),
    Ipv4Addr::new(172, 31, 213, 1),
    Ipv4Addr::new(192, 168, 213, 1),
    Ipv4Addr::new(198, 18, 213, 1),
];

/// What the test made, in the order of [`NUMBERS`] where there are two.
pub struct World {
    pub network: Arc<Network>,
    follows: JoinHandle<()>,
    pub slots: Vec<Slot>,
    pub inside: Vec<Place>,
    pub guests: Vec<Place>,
    pub near: Place,
    swept: Swept,
}

impl World {
    pub async fn new() -> Self {
        let swept = Swept::new(PREFIX);
        let config = NetworkConfig::new(PREFIX, POOL, &[ALLOWED.to_string()]).unwrap();
        let network = Arc::new(Network::prepare(config).await.unwrap());
        let followed = Arc::clone(&network);
        let follows = tokio::spawn(async move { followed.follow_host().await });
        let (mut slots, mut inside, mut guests) = (Vec::new(), Vec::new(), Vec::new());
        for number in NUMBERS {
            let slot = network.create_slot(SlotNumber::new(number)).await.unwrap();
            slots.push(slot);
            inside.push(Place::namespace(&format!("{PREFIX}-{number}")));
            guests.push(make_guest(number, network.mtu()));
        }
        let near = make_near();
        Self { network, follows, slots, inside, guests, near, swept }
    }

    /// The host's and the inner end of the link of the slot at `index`.
    pub fn link_addresses(&self, index: usize) -> (Ipv4Addr, Ipv4Addr) {
        let first = u32::from(POOL) + 2 * NUMBERS[index];
        (first.into(), (first + 1).into())
    }

    /// The packets that the host's `chain` dropped by rules that contain `part`.
    pub fn dropped(&self, chain: &str, part: &str) -> u64 {
        HOST.packets(&["chain", "inet", PREFIX, chain], part)
    }

    /// Changes the host's addresses on its link to the surroundings.
    pub fn readdress(&self, verb: &str, network: &str) {
        HOST.run("ip", &["address", verb, network, "dev", &format!("{PREFIX}near")]);
    }

    /// Waits until the host's connected networks are denied as they are.
    pub async fn until_connected(&self, network: &str, connected: bool) {
        let listed = || HOST.run("nft", &["list", "set", "inet", PREFIX, "connected"]);
        for _ in 0..1000 {
            if listed().contains(network) == connected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{network}: {}", listed());
    }

    /// Ends it all by the ordinary way, which must leave nothing.
    pub async fn end(self) {
        drop(self.slots);
        self.follows.abort();
        self.network.remove_all().await.unwrap();
        for number in NUMBERS {
            let guest = format!("{PREFIX}-guest{number}");
            HOST.run("ip", &["netns", "delete", &guest]);
            fs::remove_dir_all(Path::new(RESOLVERS).join(&guest)).unwrap();
        }
        HOST.run("ip", &["link", "delete", &format!("{PREFIX}near")]);
        HOST.run("ip", &["netns", "delete", &format!("{PREFIX}-near")]);
        assert_eq!(self.swept.leftovers(), Vec::<String>::new());
    }
}

fn make_guest(number: u32, mtu: u32) -> Place {
    let (slot, guest) = (format!("{PREFIX}-{number}"), format!("{PREFIX}-guest{number}"));
    HOST.run("ip", &["netns", "add", &guest]);
    let (ours, theirs) = (GATEWAY_MAC, GUEST_MAC);
    let inside = [
        "link delete tap0".to_owned(),
        format!(
            "link add tap0 address {ours} mtu {mtu} type veth \
             peer name eth0 address {theirs} mtu {mtu} netns {guest}"
        ),
        "link set tap0 up".to_owned(),
        format!("address add {GATEWAY_ADDRESS}/{LINK_PREFIX} dev tap0"),
        format!("neighbour replace {GUEST_ADDRESS} lladdr {theirs} dev tap0 nud permanent"),
    ];
    ip_batch(&["-netns", &slot], &inside);
    let outside = [
        format!("address add {GUEST_ADDRESS}/{LINK_PREFIX} dev eth0"),
        "link set eth0 up".to_owned(),
        format!("route add default via {GATEWAY_ADDRESS}"),
    ];
    ip_batch(&["-netns", &guest], &outside);
    let settings = Path::new(RESOLVERS).join(&guest);
    fs::create_dir_all(&settings).unwrap();
    fs::write(settings.join("resolv.conf"), format!("nameserver {GATEWAY_ADDRESS}\n")).unwrap();
    Place::namespace(&guest)
}

fn make_near() -> Place {
    let (name, link) = (format!("{PREFIX}-near"), format!("{PREFIX}near"));
    let host = [
        format!("netns add {name}"),
        format!("link add {link} type veth peer name eth0 netns {name}"),
        format!("address add {HOST_NEAR}/30 dev {link}"),
        format!("link set {link} up"),
    ];
    ip_batch(&[], &host);
    let mut inside = vec![
        "link set lo up".to_owned(),
        format!("address add {NEIGHBOUR}/30 dev eth0"),
        "link set eth0 up".to_owned(),
        format!("route add default via {HOST_NEAR}"),
    ];
    let own = || [PUBLIC, ALLOWED].into_iter().chain(DENIED);
    inside.extend(own().map(|address| format!("address add {address}/32 dev lo")));
    ip_batch(&["-netns", &name], &inside);
    let routes: Vec<_> =
        own().map(|address| format!("route add {address}/32 via {NEIGHBOUR}")).collect();
    ip_batch(&[], &routes);
    Place::namespace(&name)
}
