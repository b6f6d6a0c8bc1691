//! Slots come and go, whatever was there before.

use std::fs;
use std::net::Ipv4Addr;

use pando_guest_protocol::{GATEWAY_MAC, GUEST_ADDRESS, GUEST_MAC};
use pando_vm::network::{Network, NetworkConfig, SlotNumber};

use crate::place::{HOST, Place};
use crate::swept::Swept;

const PREFIX: &str = "vmslot";
const POOL: Ipv4Addr = Ipv4Addr::new(10, 218, 0, 0);

async fn prepare() -> Network {
    Network::prepare(NetworkConfig::new(PREFIX, POOL, &[]).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_come_and_go() {
    let swept = Swept::new(PREFIX);
    let network = prepare().await;
    let slot = SlotNumber::new;
    assert_eq!(network.list_slots().unwrap(), []);

    network.create_slot(slot(1)).await.unwrap();
    is_as_restored_guests_know_it(&network);

    // Killed between making a namespace's file and mounting it; and before the link moved in.
    fs::write(format!("/run/netns/{PREFIX}-2"), "").unwrap();
    network.create_slot(slot(2)).await.unwrap();
    HOST.run("ip", &["netns", "add", &format!("{PREFIX}-3")]);
    HOST.run("ip", &["link", "add", &format!("{PREFIX}v3"), "type", "veth"]);
    network.create_slot(slot(3)).await.unwrap();

    // A later server finds them, and nothing that only looks like one.
    HOST.run("ip", &["netns", "add", &format!("{PREFIX}-other")]);
    let network = prepare().await;
    let mut found = network.list_slots().unwrap();
    found.sort();
    assert_eq!(found, [slot(1), slot(2), slot(3)]);

    network.remove_slot(slot(2)).await.unwrap();
    network.remove_slot(slot(2)).await.unwrap();
    assert!(network.open_slot(slot(2)).is_err());

    // Its link's name is too long for the kernel, which says so after the namespace was made.
    let too_long = slot(1_000_000_000);
    assert!(network.create_slot(too_long).await.is_err());
    assert!(!network.list_slots().unwrap().contains(&too_long), "half a slot is left");

    network.remove_all().await.unwrap();
    network.remove_all().await.unwrap();
    HOST.run("ip", &["netns", "delete", &format!("{PREFIX}-other")]);
    assert_eq!(swept.leftovers(), Vec::<String>::new());
}

fn is_as_restored_guests_know_it(network: &Network) {
    let inside = Place::namespace(&format!("{PREFIX}-1"));
    let tap = inside.run("ip", &["-d", "-o", "link", "show", "dev", "tap0"]);
    let mtu = format!("mtu {} ", network.mtu());
    for part in [GATEWAY_MAC, &mtu, "tun type tap", "persist on"] {
        assert!(tap.contains(part), "no {part:?} in {tap}");
    }
    let neighbours = inside.run("ip", &["neighbour", "show", "dev", "tap0"]);
    let permanent = format!("{GUEST_ADDRESS} lladdr {GUEST_MAC} PERMANENT");
    assert!(neighbours.contains(&permanent), "{neighbours}");
    assert_eq!(inside.run("ip", &["-6", "address"]), "");
    assert_eq!(inside.run("cat", &["/proc/sys/net/ipv4/ip_forward"]).trim(), "1");
}
