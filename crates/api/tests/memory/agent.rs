//! One agent that speaks for all guests: what a command is decides what it says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use pando_guest_protocol::frame::{self, CHUNK_BYTES, FrameError, Kind};
use pando_guest_protocol::session::{Done, Entry, EntryKind, ExecDone, Operation, Request};
use pando_guest_protocol::{GUEST_ADDRESS, SESSION_PORT};
use pando_types::limits::{MAX_DIR_ENTRIES, MAX_EXEC_OUTPUT_BYTES};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// Says all that is kept of both outputs, in NULs.
pub const FLOOD: &str = "flood";
/// Reads nothing and says nothing.
pub const DEAF: &str = "deaf";
/// Says [`SMALL_SAYS`].
pub const SMALL: &str = "small";
pub const SMALL_SAYS: &str = "hello";

/// How long anything here may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The agent, and how many commands were ended before they had said all.
#[derive(Clone, Default)]
pub struct Agent {
    ended: Arc<AtomicUsize>,
}

impl Agent {
    /// Answers from now on, in the network namespace of this thread.
    pub async fn listen() -> Self {
        let listener = TcpListener::bind((GUEST_ADDRESS, SESSION_PORT)).await.unwrap();
        let agent = Self::default();
        let answering = agent.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let agent = answering.clone();
                tokio::spawn(async move {
                    if agent.answer(stream).await.is_err() {
                        agent.ended.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        agent
    }

    /// Waits until so many commands were ended early, and no more.
    pub async fn until_ended(&self, count: usize) {
        let waited = async {
            while self.ended.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.unwrap();
        assert_eq!(self.ended.load(Ordering::SeqCst), count);
    }

    async fn answer(&self, mut stream: TcpStream) -> Result<(), FrameError> {
        let request: Request = frame::expect(&mut stream).await?.json()?;
        let exec = match request.operation {
            Operation::Exec(exec) => exec,
            Operation::List { .. } => return list(&mut stream).await,
            _ => return frame::write_json(&mut stream, Kind::Reply, &Done {}).await,
        };
        let command = exec.argv.last().map(String::as_str).unwrap_or_default();
        if command == DEAF {
            std::future::pending::<()>().await;
        }
        if command == FLOOD {
            let nuls = vec![0; CHUNK_BYTES];
            for _ in 0..MAX_EXEC_OUTPUT_BYTES / CHUNK_BYTES {
                frame::write(&mut stream, Kind::Stdout, &nuls).await?;
                frame::write(&mut stream, Kind::Stderr, &nuls).await?;
            }
        } else {
            frame::write(&mut stream, Kind::Stdout, SMALL_SAYS.as_bytes()).await?;
        }
        let done = ExecDone { exit_code: 0, timed_out: false, duration_ms: 1 };
        frame::write_json(&mut stream, Kind::Reply, &done).await?;
        // The host closes: by a reset, which is no news here.
        let mut dropped = [0; 4096];
        while matches!(stream.read(&mut dropped).await, Ok(count) if count > 0) {}
        Ok(())
    }
}

/// A directory of as many entries as are taken.
async fn list(stream: &mut TcpStream) -> Result<(), FrameError> {
    static FRAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let entry = |number: usize| Entry {
            name: format!("{number:0100}"),
            kind: EntryKind::File,
            size_bytes: 1,
            mode: 0o644,
            mtime_secs: 1,
        };
        let numbers: Vec<usize> = (0..MAX_DIR_ENTRIES).collect();
        let line = |number: &usize| serde_json::to_string(&entry(*number)).unwrap() + "\n";
        numbers.chunks(1000).map(|numbers| numbers.iter().map(line).collect()).collect()
    });
    for lines in FRAMES.iter() {
        frame::write(stream, Kind::Data, lines.as_bytes()).await?;
    }
    frame::write(stream, Kind::End, &[]).await
}
