//! What targets share: a runtime, and a peer that says what the fuzzer thought of.

use std::cell::OnceCell;
use std::io::Write;
use std::os::unix::net::UnixStream as Blocking;

use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
}

/// Runs `work` to its end.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.with(|cell| {
        let runtime =
            cell.get_or_init(|| Builder::new_current_thread().enable_all().build().unwrap());
        runtime.block_on(work)
    })
}

/// Runs `work` with a stream whose other end says `bytes` and closes.
pub fn against<T, F: Future<Output = T>>(bytes: &[u8], work: impl FnOnce(UnixStream) -> F) -> T {
    block_on(async {
        let (ours, mut theirs) = Blocking::pair().unwrap();
        // What does not fit the socket's buffer is not said: nobody reads yet.
        theirs.set_nonblocking(true).unwrap();
        let _ = theirs.write_all(bytes);
        // Ours to write to: what is asked of a peer that is gone would fail at once.
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        ours.set_nonblocking(true).unwrap();
        let outcome = work(UnixStream::from_std(ours).unwrap()).await;
        drop(theirs);
        outcome
    })
}
