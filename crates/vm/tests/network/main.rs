//! Network slots for real: namespaces, links and rules on this host, with a
//! namespace standing in for each guest ([`world`]). Needs root, nft, iproute2,
//! curl, and a nameserver and a package registry that answer; all other traffic
//! stays in namespaces made here.
//!
//! What is blocked is shown to be blocked by the policy: the same listener
//! answers somebody else, or the counter of the rule has moved.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bounds;
mod frames;
mod listener;
mod place;
mod slots;
mod swept;
mod world;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use pando_guest_protocol::GUEST_ADDRESS;
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
    world.until_connected("198.51.100.216/30", true).await;
    only_public_and_allowed_addresses_answer(&world);
    what_the_host_is_connected_to_is_followed(&world).await;
    nothing_of_the_host_answers(&world);
    neither_neighbours_nor_strangers_reach_a_slot(&world);
    mail_goes_out_only_where_the_operator_says_so(&world);
    bounds::one_guest_may_be_denied_more(&world).await;
    a_source_address_of_ones_own_making_is_dropped(&world);
    frames_of_another_sender_are_dropped(&world);
    bounds::connections_are_bounded(&world);
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
    let everybody = [world::PUBLIC, world::NEIGHBOUR, world::ALLOWED];
    for address in everybody.iter().chain(&world::DENIED) {
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

/// However public its address is: a neighbour may trust the host's network.
async fn what_the_host_is_connected_to_is_followed(world: &World) {
    let near = Listener::start(&world.near, "near");
    let hear = |address| world.guests[0].hear(SocketAddrV4::new(address, near.port()));
    let before = world.dropped("from_guest", "@connected");
    assert_eq!(hear(world::NEIGHBOUR), None, "a neighbour is reachable");
    assert!(world.dropped("from_guest", "@connected") > before, "it met another rule");
    // It is a router all the same, and an address makes neighbours of those behind it.
    let (host, network) = ("198.51.100.226/30", "198.51.100.224/30");
    assert_eq!(hear(world::PUBLIC).as_deref(), Some("near"));
    world.readdress("add", host);
    world.until_connected(network, true).await;
    let before = world.dropped("from_guest", "@connected");
    assert_eq!(hear(world::PUBLIC), None, "a new neighbour is reachable");
    assert!(world.dropped("from_guest", "@connected") > before, "it met another rule");
    world.readdress("delete", host);
    world.until_connected(network, false).await;
    assert_eq!(hear(world::PUBLIC).as_deref(), Some("near"));
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
    guest.run("ip", &["address", "add", "198.51.100.229/32", "dev", "eth0"]);
    let public = world::PUBLIC.to_string();
    guest.run("ip", &["route", "add", &public, "via", "172.16.0.1", "src", "198.51.100.229"]);
    // So that the reverse-path filter has nothing against it, and an answer would come back.
    inside.run("ip", &["route", "add", "198.51.100.229/32", "dev", "tap0"]);
    let spoofed = || inside.packets(&["chain", "ip", "slot", "guard"], "ip saddr !=");
    let before = spoofed();
    assert_eq!(guest.hear(target), None);
    assert!(spoofed() > before);
}

fn mail_goes_out_only_where_the_operator_says_so(world: &World) {
    let mail = Listener::start_at(&world.near, 25, "220 near");
    let at = |address| SocketAddrV4::new(address, mail.port());
    assert_eq!(HOST.hear(at(world::PUBLIC)).as_deref(), Some("220 near"));
    let before = world.dropped("from_guest", "tcp dport 25");
    assert_eq!(world.guests[0].hear(at(world::PUBLIC)), None);
    assert!(world.dropped("from_guest", "tcp dport 25") > before);
    // A relay of the operator's own is among what is allowed.
    assert_eq!(world.guests[0].hear(at(world::ALLOWED)).as_deref(), Some("220 near"));
}

fn frames_of_another_sender_are_dropped(world: &World) {
    let (guest, inside) = (&world.guests[1], &world.inside[1]);
    let socket = world.near.enter(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let port = socket.local_addr().unwrap().port();
    let guest_address = GUEST_ADDRESS.parse::<Ipv4Addr>().unwrap();
    let send = |mac, address| {
        let frame = frames::datagram((mac, address, 5555), (world::PUBLIC, port));
        frames::send(guest, &frame);
    };
    let guarded = |part: &str| inside.packets(&["chain", "ip", "slot", "guard"], part);
    let (macs, addresses) = (guarded("ether saddr"), guarded("ip saddr"));
    send(frames::STRANGER_MAC, guest_address);
    send(frames::GUEST_MAC, Ipv4Addr::new(172, 16, 0, 3));
    assert_eq!(guarded("ether saddr"), macs + 1);
    assert_eq!(guarded("ip saddr"), addresses + 1);
    // Its own gets through, and is the first that does.
    send(frames::GUEST_MAC, guest_address);
    let mut bytes = [0; 8];
    assert_eq!(socket.recv(&mut bytes).unwrap(), 1);
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.recv(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);

    // "I am the gateway", and "I am the guest" from another device.
    let refused = || {
        let listed = inside.run("nft", &["list", "chain", "arp", "slot", "input"]);
        let last = listed.lines().rfind(|line| line.trim().starts_with("counter packets")).unwrap();
        last.trim().split(' ').nth(2).unwrap().parse::<u64>().unwrap()
    };
    let before = refused();
    let stranger = frames::STRANGER_MAC;
    frames::send(guest, &frames::arp_reply(stranger, stranger, GATEWAY, guest_address));
    frames::send(guest, &frames::arp_reply(stranger, stranger, guest_address, GATEWAY));
    assert_eq!(refused(), before + 2);
    let neighbours = inside.run("ip", &["neighbour", "show", "dev", "tap0"]);
    assert!(
        neighbours.contains("PERMANENT") && !neighbours.contains("02:00:00:00:00:99"),
        "{neighbours}"
    );
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
