//! A name server on loopback with the records that a test gives it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What a name has.
#[derive(Debug, Clone)]
pub enum Record {
    Cname(String),
    Txt(String),
    /// The server cannot say.
    Fails,
}

type Zone = Arc<Mutex<BTreeMap<String, Record>>>;

/// The server, for as long as this lives.
pub struct NameServer {
    pub address: SocketAddr,
    zone: Zone,
    task: JoinHandle<()>,
}

impl NameServer {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, zone) = (socket.local_addr().unwrap(), Zone::default());
        let task = tokio::spawn(serve(socket, Arc::clone(&zone)));
        Self { address, zone, task }
    }

    pub fn set(&self, name: &str, record: Record) {
        self.zone.lock().unwrap().insert(name.into(), record);
    }

    pub fn remove(&self, name: &str) {
        self.zone.lock().unwrap().remove(name);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, zone: Zone) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let answer = answer(&buffer[..length], &zone.lock().unwrap());
        // Another's words come first: they must not be taken for the answer.
        let mut foreign = answer.clone();
        foreign[0] ^= 1;
        let _ = socket.send_to(&foreign, from).await;
        let _ = socket.send_to(&answer, from).await;
    }
}

fn answer(question: &[u8], zone: &BTreeMap<String, Record>) -> Vec<u8> {
    let (mut at, mut labels) = (12, Vec::new());
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8(question[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    let kind = question[at + 2];
    let (kinds, data) = match zone.get(&labels.join(".")) {
        Some(Record::Fails) => return [&question[..2], &[0x81, 0x82], &question[4..]].concat(),
        Some(Record::Cname(target)) => (5, encoded(target)),
        Some(Record::Txt(text)) => {
            (16, [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat())
        }
        None => (0, Vec::new()),
    };
    let has = kinds == kind;
    let mut answer = [&question[..2], &[0x81, 0x80, 0, 1, 0, u8::from(has), 0, 0, 0, 0]].concat();
    answer.extend(&question[12..at + 5]);
    if has {
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]);
        answer.extend(data);
    }
    answer
}

fn encoded(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat();
    name.split('.').flat_map(label).chain([0]).collect()
}
