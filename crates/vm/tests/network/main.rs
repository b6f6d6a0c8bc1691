//! Network slots for real: namespaces, links and rules on this host, with a
//! namespace standing in for each guest ([`world`]). Needs root, nft, iproute2,
//! curl, and a nameserver and a package registry that answer; all other traffic
//! stays in namespaces made here.
//!
//! What is blocked is shown to be blocked by the policy: the same listener
//! answers somebody else, or the counter of the rule has moved.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod listener;
mod place;
mod slots;
mod swept;
mod world;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use pando_vm::network::resolvers;
use tokio::io::AsyncReadExt;

use listener::Listener;
use place::HOST;
use world::World;

/// A registry that guests need; its certificate and one small page are asked for.
const REGISTRY: &str = "registry.npmjs.org";
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn guests_get_out_and_reach_nothing_near() {
    let world = World::new().await;
    names_and_https_work(&world);
    the_host_reaches_its_guests(&world).await;
    only_public_and_allowed_addresses_answer(&world);
    nothing_of_the_host_answers(&world);
    neither_neighbours_nor_strangers_reach_a_slot(&world);
    a_source_address_of_ones_own_making_is_dropped(&world);
    world.end().await;
}

fn names_and_https_work(world: &World) {
    let resolver = *resolvers().unwrap().first().unwrap();
    // Not every resolver serves TCP: a guest must get as far as the host does.
    let takes_tcp = HOST.connects(SocketAddrV4::new(resolver, 53));
    for guest in &world.guests {
        guest.run("getent", &["ahostsv4", REGISTRY]);
        assert_eq!(guest.connects(SocketAddrV4::new(GATEWAY, 53)), takes_tcp);
        let url = format!("https://{REGISTRY}/is-number/latest");
        let page = guest.run("curl", &["-fsS", "--max-time", "60", "--retry", "2", &url]);
        assert!(page.contains("is-number"), "{page}");
    }
}

async fn the_host_reaches_its_guests(world: &World) {
    for (slot, guest) in world.slots.iter().zip(&world.guests) {
        let word = format!("guest {}", slot.number());
        let listener = Listener::start(guest, &word);
        let port = listener.port();
        let mut stream = slot.connect(port, CONNECT_LIMIT).await.unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, word);
        drop(listener);
        let refused = slot.connect(port, CONNECT_LIMIT).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

fn only_public_and_allowed_addresses_answer(world: &World) {
    let near = Listener::start(&world.near, "near");
    let at = |address| SocketAddrV4::new(address, near.port());
    for address in [world::PUBLIC, world::ALLOWED].iter().chain(&world::DENIED) {
        assert_eq!(HOST.hear(at(*address)).as_deref(), Some("near"), "{address}, by the host");
    }
    for address in [world::PUBLIC, world::ALLOWED] {
        assert_eq!(world.guests[0].hear(at(address)).as_deref(), Some("near"), "{address}");
    }
    for address in world::DENIED {
        let before = world.dropped("from_guest", "@denied");
        assert_eq!(world.guests[0].hear(at(address)), None, "{address} is reachable");
        assert!(world.dropped("from_guest", "@denied") > before, "{address} met another rule");
    }
}

fn nothing_of_the_host_answers(world: &World) {
    let host = Listener::start(&HOST, "host");
    let at = |address| SocketAddrV4::new(address, host.port());
    let (outside, inside) = world.link_addresses(0);
    for address in [outside, world::HOST_NEAR, own_address()] {
        assert_eq!(HOST.hear(at(address)).as_deref(), Some("host"), "{address}, by the host");
        let before = world.dropped("input", "");
        assert_eq!(world.guests[0].hear(at(address)), None, "{address} is reachable");
        assert!(world.dropped("input", "") > before, "{address} met another rule");
    }
    // The slot's own addresses lead nowhere either.
    let slot = Listener::start(&world.inside[0], "slot");
    for address in [inside, GATEWAY] {
        let target = SocketAddrV4::new(address, slot.port());
        assert_eq!(world.guests[0].hear(target), None, "{address} is reachable");
    }
}

fn neither_neighbours_nor_strangers_reach_a_slot(world: &World) {
    let slot = Listener::start(&world.inside[1], "slot");
    let (_, inside) = world.link_addresses(1);
    let target = SocketAddrV4::new(inside, slot.port());
    // The slot would refuse too: with its own door open, the host's rule stands alone.
    world.inside[1].run("nft", &["insert", "rule", "ip", "slot", "input", "accept"]);
    assert_eq!(world.guests[1].hear(target).as_deref(), Some("slot"));
    let before = world.dropped("from_guest", "oifname");
    assert_eq!(world.guests[0].hear(target), None);
    assert!(world.dropped("from_guest", "oifname") > before);
    let before = world.dropped("to_guest", "");
    assert_eq!(world.near.hear(target), None);
    assert!(world.dropped("to_guest", "") > before);
}

fn a_source_address_of_ones_own_making_is_dropped(world: &World) {
    let near = Listener::start(&world.near, "near");
    let target = SocketAddrV4::new(world::PUBLIC, near.port());
    let (guest, inside) = (&world.guests[0], &world.inside[0]);
    assert_eq!(guest.hear(target).as_deref(), Some("near"));
    guest.run("ip", &["address", "add", "198.51.100.222/32", "dev", "eth0"]);
    let public = world::PUBLIC.to_string();
    guest.run("ip", &["route", "add", &public, "via", "172.16.0.1", "src", "198.51.100.222"]);
    // So that the reverse-path filter has nothing against it, and an answer would come back.
    inside.run("ip", &["route", "add", "198.51.100.222/32", "dev", "tap0"]);
    let spoofed = || inside.packets(&["chain", "ip", "slot", "forward"], "ip saddr !=");
    let before = spoofed();
    assert_eq!(guest.hear(target), None);
    assert!(spoofed() > before);
}

/// The host's address on its way out. Connecting a UDP socket sends nothing.
fn own_address() -> Ipv4Addr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("198.51.100.1:9").unwrap();
    match socket.local_addr().unwrap().ip() {
        std::net::IpAddr::V4(address) => address,
        std::net::IpAddr::V6(address) => panic!("{address} for an IPv4 socket"),
    }
}
