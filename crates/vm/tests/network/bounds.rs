//! What bounds one guest: the addresses it alone is denied, and how much it may open.

use std::io::Read;
use std::net::{SocketAddrV4, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::listener::Listener;
use crate::world::{self, World};

/// Connections tried in one go.
const BATCH: usize = 500;
/// What a guest may hold, and some that others opened to it.
const MOST_TRACKED: usize = 4100;
/// How long it may take to open that many, which the other bound slows down.
const FILLING_LIMIT: Duration = Duration::from_secs(60);

pub async fn one_guest_may_be_denied_more(world: &World) {
    let near = Listener::start(&world.near, "near");
    let target = SocketAddrV4::new(world::PUBLIC, near.port());
    let number = world.slots[0].number();
    let dropped = || world.inside[0].packets(&["chain", "ip", "slot", "forward"], "@denied");
    for denied in [&world::PUBLIC.to_string(), "198.51.100.0/24", "0.0.0.0/0"] {
        world.network.deny(number, &[denied.parse().unwrap()]).await.unwrap();
        let before = dropped();
        assert_eq!(world.guests[0].hear(target), None, "{denied}");
        assert!(dropped() > before, "{denied} met another rule");
        // Its neighbour is not concerned, and the host still reaches it.
        assert_eq!(world.guests[1].hear(target).as_deref(), Some("near"));
        let guest = Listener::start(&world.guests[0], "guest");
        let stream = world.slots[0].connect(guest.port(), Duration::from_secs(5)).await;
        assert!(stream.is_ok(), "{denied}");
    }
    world.network.deny(number, &[]).await.unwrap();
    assert_eq!(world.guests[0].hear(target).as_deref(), Some("near"));
    what_is_open_goes_dumb(world).await;
}

async fn what_is_open_goes_dumb(world: &World) {
    let socket = world.near.enter(|| std::net::TcpListener::bind("0.0.0.0:0").unwrap());
    let target = SocketAddrV4::new(world::PUBLIC, socket.local_addr().unwrap().port());
    let mut stream = world.guests[0].enter(|| TcpStream::connect(target).unwrap());
    let (mut peer, _) = socket.accept().unwrap();
    let say = |stream: &mut TcpStream| std::io::Write::write_all(stream, b"x").unwrap();
    say(&mut stream);
    peer.read_exact(&mut [0]).unwrap();
    let number = world.slots[0].number();
    world.network.deny(number, &["198.51.100.0/24".parse().unwrap()]).await.unwrap();
    say(&mut stream);
    peer.set_read_timeout(Some(Duration::from_millis(900))).unwrap();
    assert!(peer.read_exact(&mut [0]).is_err(), "it is still heard");
    world.network.deny(number, &[]).await.unwrap();
    // Repeated by the guest's kernel, now that it may.
    peer.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    peer.read_exact(&mut [0]).unwrap();
}

/// Each datagram from a port of its own opens a connection, as conntrack counts.
pub fn connections_are_bounded(world: &World) {
    let dropped = |part: &str| world.inside[1].packets(&["chain", "ip", "slot", "opening"], part);
    let target = SocketAddrV4::new(world::PUBLIC, 9);
    let (rate, count) = (dropped("limit rate"), dropped("ct count"));
    let deadline = Instant::now() + FILLING_LIMIT;
    // First as many at once as may be, then as many as a second allows.
    while dropped("limit rate") == rate || dropped("ct count") == count {
        assert!(Instant::now() < deadline, "no bound on connections");
        world.guests[1].enter(|| {
            for _ in 0..BATCH {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                socket.send_to(b"x", target).unwrap();
            }
        });
        std::thread::sleep(Duration::from_millis(50));
    }
    // What it could not open is not tracked, there or by the host.
    let tracked = world.inside[1].run("cat", &["/proc/sys/net/netfilter/nf_conntrack_count"]);
    let tracked: usize = tracked.trim().parse().unwrap();
    assert!(tracked <= MOST_TRACKED, "{tracked} connections are tracked");
}
