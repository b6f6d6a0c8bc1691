//! Whether a client takes what is sent to it in one HTTP/2 stream.
//!
//! Over HTTP/1.1 a client that takes nothing stalls its connection, which `socket`
//! sees. Over HTTP/2 it can keep the connection lively and one stream's window shut,
//! and the HTTP library waits for that window without end, asking the body for
//! nothing meanwhile. So the body says when a piece of it was handed out, and the
//! task that sends it gives up when the next one is not asked for in time.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::alarm::Alarm;

tokio::task_local! {
    /// Of the stream that the task serves.
    static PACE: Pace;
}

/// The pace of one stream. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Since when a piece waits for the client.
    waits: Option<Instant>,
    had_turn: bool,
}

impl Pace {
    /// That of the stream that this task serves; `None` in any other task.
    pub(crate) fn current() -> Option<Self> {
        PACE.try_with(Self::clone).ok()
    }

    /// A piece was handed out to be sent.
    pub(crate) fn handed_out(&self) {
        self.lock().waits = Some(Instant::now());
    }

    /// The next piece is asked for: the one before was taken.
    pub(crate) fn asked(&self) {
        self.lock().waits = None;
    }

    /// Ready once the connection had a turn to send what it was given.
    pub(crate) fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.lock().had_turn, true) {
            return Poll::Ready(());
        }
        // The connection's task was woken before, by what it was given, and tasks run
        // in the order in which they are woken.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does `work`, which serves one stream, unless its client takes nothing for as long
/// as `stall`.
pub(crate) async fn keep(stall: Duration, work: impl Future<Output = ()>) {
    let pace = Pace::default();
    let mut work = pin!(PACE.scope(pace.clone(), work));
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        if work.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let waits = pace.lock().waits;
        let Some(since) = waits else {
            return Poll::Pending;
        };
        alarm.set(since + stall);
        alarm.poll(cx)
    })
    .await;
}
