//! The guests' end of sessions. All guests of a test have one address, so one
//! listener answers for all and tells them apart by the token of a request; a
//! guest that was told nothing else answers as a good agent would.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use pando_guest_protocol::frame::{self, Kind};
use pando_guest_protocol::session::{Done, ExecDone, Operation, Request};
use pando_guest_protocol::{GUEST_ADDRESS, SESSION_PORT};
use pando_types::SandboxId;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::machines::Machines;
use super::say::{Say, until_closed};

/// What the friendly guest prints for every command.
pub(super) const FRIENDLY: &[u8] = b"hello";
/// A guest's kernel takes little on behalf of an agent that does not read, so
/// that the host soon waits.
const RECEIVE_BUFFER_BYTES: u32 = 4096;

#[derive(Clone)]
pub(super) struct Agents {
    machines: Machines,
    hostile: Arc<Mutex<HashMap<SandboxId, Say>>>,
    /// Connections that are never read from, yet to come.
    deaf: Arc<AtomicU64>,
    /// Sessions that reached a hostile guest.
    met: Arc<AtomicU64>,
    /// What hostile guests got rid of.
    taken_bytes: Arc<AtomicU64>,
}

impl Agents {
    /// Answers from now on, in the network namespace of this thread.
    pub(super) fn listen(machines: &Machines) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).unwrap();
        socket
            .bind((GUEST_ADDRESS.parse::<std::net::Ipv4Addr>().unwrap(), SESSION_PORT).into())
            .unwrap();
        let listener = socket.listen(64).unwrap();
        let agents = Self {
            machines: machines.clone(),
            hostile: Arc::default(),
            deaf: Arc::default(),
            met: Arc::default(),
            taken_bytes: Arc::default(),
        };
        tokio::spawn(agents.clone().serve(listener));
        agents
    }

    /// Lets a sandbox's agent say this once it has read a request.
    pub(super) fn says(&self, id: SandboxId, say: Say) {
        self.hostile.lock().unwrap().insert(id, say);
    }

    /// Accepts the next connection and never reads from it.
    pub(super) fn ignore_next(&self) {
        self.deaf.fetch_add(1, Ordering::SeqCst);
    }

    /// How many sessions have reached a hostile guest.
    pub(super) fn met(&self) -> u64 {
        self.met.load(Ordering::SeqCst)
    }

    /// How many bytes the host has taken from hostile guests in sessions that are over.
    pub(super) fn taken_bytes(&self) -> u64 {
        self.taken_bytes.load(Ordering::SeqCst)
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let ignored = |left: u64| left.checked_sub(1);
            if self.deaf.fetch_update(Ordering::SeqCst, Ordering::SeqCst, ignored).is_ok() {
                self.met.fetch_add(1, Ordering::SeqCst);
                // Until the host resets or closes it, which needs no reading.
                tokio::spawn(async move { gone(&stream).await });
            } else {
                tokio::spawn(self.clone().answer(stream));
            }
        }
    }

    async fn answer(self, mut stream: TcpStream) {
        let Ok(frame) = frame::expect(&mut stream).await else { return };
        let Ok(request) = frame.json::<Request>() else { return };
        let asked = self.machines.of_token(&request.token);
        let hostile = asked.and_then(|id| self.hostile.lock().unwrap().get(&id).cloned());
        match hostile {
            Some(say) => {
                self.met.fetch_add(1, Ordering::SeqCst);
                let taken = say.over(stream).await;
                self.taken_bytes.fetch_add(taken, Ordering::SeqCst);
            }
            None => friendly(stream, &request.operation).await,
        }
    }
}

/// What a good agent says, as far as the tests ask for it.
async fn friendly(mut stream: TcpStream, operation: &Operation) {
    if matches!(operation, Operation::Exec(_)) {
        let done = ExecDone { exit_code: 0, timed_out: false, duration_ms: 1 };
        frame::write(&mut stream, Kind::Stdout, FRIENDLY).await.unwrap();
        frame::write_json(&mut stream, Kind::Reply, &done).await.unwrap();
    } else {
        frame::write_json(&mut stream, Kind::Reply, &Done {}).await.unwrap();
    }
    until_closed(&mut stream).await;
}

/// Waits until the other end has reset, without reading what came before it.
async fn gone(stream: &TcpStream) {
    while stream.ready(Interest::READABLE).await.is_ok_and(|ready| !ready.is_read_closed()) {
        tokio::task::yield_now().await;
    }
}
