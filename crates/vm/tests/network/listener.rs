//! A TCP listener that says one word to whoever connects.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;

use crate::place::Place;

pub struct Listener {
    socket: TcpListener,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens in `place`, on all its addresses and a free port.
    pub fn start(place: &Place, word: &str) -> Self {
        Self::start_at(place, 0, word)
    }

    /// The same, on that port.
    pub fn start_at(place: &Place, port: u16, word: &str) -> Self {
        let socket = place.enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
        let (accepting, word) = (socket.try_clone().unwrap(), word.to_owned());
        let thread = std::thread::spawn(move || {
            for stream in accepting.incoming() {
                let Ok(mut stream) = stream else { break };
                // Whoever is gone by now needs no word.
                let _ = stream.write_all(word.as_bytes());
            }
        });
        Self { socket, thread: Some(thread) }
    }

    pub fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // On Linux this ends an `accept` that waits.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
