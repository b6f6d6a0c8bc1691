//! The threads that serve connections.
//!
//! Each has an event loop and everything of its connections to itself: the sockets
//! to clients and to apps, their timers, their tasks. So no connection is handed
//! from one processor to another between two packets, which costs an exchange of
//! this size more than anything else does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::client::{Client, ConnectionSlot, Load, WorkerId};
use crate::limits;

/// A connection on its way to its thread.
pub(super) struct Accepted {
    pub stream: TcpStream,
    pub address: SocketAddr,
    pub permit: OwnedSemaphorePermit,
    /// Counts it as served until it is.
    pub tracked: TaskTrackerToken,
}

/// The threads; they end when this is dropped or stopped.
#[derive(Debug)]
pub(super) struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    queue: mpsc::Sender<Handed>,
    load: Arc<Load>,
    thread: thread::JoinHandle<()>,
}

/// What is handed over: the stream leaves the event loop that accepted it.
struct Handed {
    stream: std::net::TcpStream,
    client: Client,
    _tracked: TaskTrackerToken,
}

impl Workers {
    /// Starts a thread for each processor; `serve` begins to serve one connection
    /// there and returns.
    ///
    /// # Errors
    /// The system has no thread or no event loop left.
    pub(super) fn start(
        serve: impl Fn(TcpStream, Client) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let start = |number| Worker::start(WorkerId(number), serve.clone());
        Ok(Self((0..processors.min(limits::MAX_WORKERS)).map(start).collect::<io::Result<_>>()?))
    }

    /// Hands a connection to the thread that has the fewest.
    pub(super) async fn hand(&self, accepted: Accepted) {
        let numbered = self.0.iter().enumerate();
        let fewest = numbered.min_by_key(|(_, worker)| worker.load.count());
        let Some((number, worker)) = fewest else {
            return;
        };
        let Accepted { stream, address, permit, tracked } = accepted;
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection could not be handed over");
                return;
            }
        };
        let slot = ConnectionSlot::new(permit, &worker.load);
        let client = Client::new(address, slot, WorkerId(number));
        if worker.queue.send(Handed { stream, client, _tracked: tracked }).await.is_err() {
            tracing::error!(number, "a thread of the edge has ended");
        }
    }

    /// Ends the threads, which must have nothing to do any more.
    pub(super) async fn stop(self) {
        let threads: Vec<_> = self.0.into_iter().map(|worker| worker.thread).collect();
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().map(thread::JoinHandle::join).all(|ended| ended.is_ok())
        });
        if !joined.await.is_ok_and(|all| all) {
            tracing::error!("a thread of the edge broke down");
        }
    }
}

impl Worker {
    fn start(id: WorkerId, serve: impl Fn(TcpStream, Client) + Send + 'static) -> io::Result<Self> {
        let (queue, mut handed) = mpsc::channel::<Handed>(limits::WORKER_QUEUE);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let work = async move {
            while let Some(Handed { stream, client, _tracked }) = handed.recv().await {
                match TcpStream::from_std(stream) {
                    Ok(stream) => serve(stream, client),
                    Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
                }
            }
        };
        let thread = thread::Builder::new().name(format!("edge-{}", id.0)).spawn(move || {
            stay_on_one_processor(id);
            runtime.block_on(work);
        })?;
        Ok(Self { queue, load: Arc::default(), thread })
    }
}

/// Keeps the calling thread on one of the processors that it may use. Two such threads
/// that the system puts on one of them for a while hold up half of all connections,
/// for tens of ms on a busy host.
fn stay_on_one_processor(id: WorkerId) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let Some(cpu) = allowed.get(id.0 % allowed.len().max(1)) else { return };
    let mut one = CpuSet::new();
    one.set(*cpu);
    // It only serves: where it may not be kept, it serves from anywhere.
    if let Err(error) = sched_setaffinity(None, &one) {
        tracing::debug!(%error, "a thread of the edge has no processor of its own");
    }
}
