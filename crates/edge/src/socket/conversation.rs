//! What the two ends of one client connection know of it: the guard, which sees
//! the bytes, and the router, which sees requests and answers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use crate::head::Refusal;

/// Shared by everything that serves one connection.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// Requests that came in whole heads.
    asked: AtomicUsize,
    /// Requests that the router took up.
    begun: AtomicUsize,
    /// Requests whose answers are over, however they ended.
    answered: AtomicUsize,
    /// The request that stands for a refused head, counted from 1, and why.
    refused: OnceLock<(usize, Refusal)>,
    switching: AtomicBool,
    tunnelled: AtomicBool,
    endless: AtomicBool,
    api: AtomicBool,
    /// An answer broke off, and waits until what came before it was sent.
    breaking: AtomicBool,
    /// All of that was.
    flushed: AtomicBool,
}

/// One request and its answer; the drop is the answer's end.
#[derive(Debug)]
pub(crate) struct Exchange {
    conversation: Arc<Conversation>,
    number: usize,
}

impl Conversation {
    /// So many more requests came.
    pub(crate) fn ask(&self, requests: usize) {
        self.asked.fetch_add(requests, Ordering::AcqRel);
    }

    /// The request that comes now stands for a head that is refused; nothing comes
    /// after it.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        let number = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        // The guard refuses once: it hands on nothing afterwards.
        let _ = self.refused.set((number, refusal));
    }

    /// Takes up the next request.
    pub(crate) fn begin(self: &Arc<Self>) -> Exchange {
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        Exchange { conversation: Arc::clone(self), number }
    }

    /// Keeps the connection busy beside its requests, until the drop: for a tunnel
    /// over HTTP/2, which outlives the answer that opened it.
    pub(crate) fn hold(self: &Arc<Self>) -> Exchange {
        self.ask(1);
        self.begin()
    }

    /// How many requests came so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }

    /// Whether an answer is still due or under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.asked() > self.answered.load(Ordering::Acquire)
    }

    /// The last request asked for another protocol.
    pub(crate) fn set_switching(&self) {
        self.switching.store(true, Ordering::Release);
    }

    pub(crate) fn is_switching(&self) -> bool {
        self.switching.load(Ordering::Acquire)
    }

    /// The connection speaks another protocol now: each direction has an end of
    /// its own, and nothing may be dropped.
    pub(crate) fn set_tunnelled(&self) {
        self.tunnelled.store(true, Ordering::Release);
    }

    pub(crate) fn is_tunnelled(&self) -> bool {
        self.tunnelled.load(Ordering::Acquire)
    }

    /// The answer has no end of its own: whoever closes has left.
    pub(crate) fn set_endless(&self) {
        self.endless.store(true, Ordering::Release);
    }

    pub(crate) fn is_endless(&self) -> bool {
        self.endless.load(Ordering::Acquire)
    }

    /// The API answers the request that is under way, or an app does.
    pub(crate) fn set_api(&self, api: bool) {
        self.api.store(api, Ordering::Release);
    }

    pub(crate) fn is_api(&self) -> bool {
        self.api.load(Ordering::Acquire)
    }

    /// All that was written is with the system now; `waker` is the connection's task.
    pub(super) fn note_flush(&self, waker: &Waker) {
        if self.breaking.load(Ordering::Acquire) && !self.flushed.swap(true, Ordering::AcqRel) {
            waker.wake_by_ref();
        }
    }
}

impl Exchange {
    /// Why the head for which this request stands is refused, if it is.
    pub(crate) fn refused(&self) -> Option<Refusal> {
        let (number, refusal) = self.conversation.refused.get()?;
        (*number == self.number).then_some(*refusal)
    }

    /// For an answer that broke off: ready once all before that has left. The task
    /// that flushes the connection, which is the one that asks, is woken then.
    pub(crate) fn poll_flushed(&self) -> Poll<()> {
        self.conversation.breaking.store(true, Ordering::Release);
        if self.conversation.flushed.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.conversation.answered.fetch_add(1, Ordering::AcqRel);
    }
}
