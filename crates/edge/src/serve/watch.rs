//! What is watched while a connection is served: whether its client is still
//! there, whether it is used at all, and whether the server stops.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::end::Wait;
use crate::limits::Limits;
use crate::socket::{Conversation, Departure};

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The client left, or stays though nothing more is to be said: nobody reads.
    Left,
    /// The connection takes no more requests, because the server stops or because
    /// there were none for long. Seen once.
    Over,
}

/// The watch of one connection, polled by its task whenever there is nothing else
/// to do. It reads no clock and takes no lock unless something changed.
#[derive(Debug)]
pub(super) struct Watch {
    conversation: Arc<Conversation>,
    /// `None` where the protocol tells it.
    departure: Option<Departure>,
    /// Runs from the moment the client closed its direction with an answer due: it
    /// may have said all and wait, but not without end.
    half_closed: Option<Pin<Box<Sleep>>>,
    half_closed_limit: Duration,
    api_half_closed_limit: Duration,
    unused: Pin<Box<Sleep>>,
    unused_limit: Duration,
    /// The requests when `unused` began to run.
    asked: usize,
    shutdown: Wait,
    is_over: bool,
    /// Runs from the moment when all was answered on a connection that is over, until
    /// its client must have taken what it was sent.
    parting: Option<Pin<Box<Sleep>>>,
    parting_limit: Duration,
}

impl Watch {
    pub(super) fn new(
        conversation: Arc<Conversation>,
        departure: Option<Departure>,
        shutdown: Wait,
        limits: &Limits,
    ) -> Self {
        Self {
            conversation,
            departure,
            half_closed: None,
            half_closed_limit: limits.half_closed,
            api_half_closed_limit: limits.api_half_closed,
            unused: Box::pin(sleep(limits.keep_alive)),
            unused_limit: limits.keep_alive,
            asked: 0,
            shutdown,
            is_over: false,
            parting: None,
            parting_limit: limits.write_stall,
        }
    }

    /// Looks whether something is to be seen.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Seen> {
        if self.conversation.is_busy() && self.poll_left(cx).is_ready() {
            return Poll::Ready(Seen::Left);
        }
        if !self.is_over
            && (Pin::new(&mut self.shutdown).poll(cx).is_ready() || self.poll_unused(cx).is_ready())
        {
            self.is_over = true;
            return Poll::Ready(Seen::Over);
        }
        if self.is_over && !self.conversation.is_busy() {
            let limit = self.parting_limit;
            let parting = self.parting.get_or_insert_with(|| Box::pin(sleep(limit)));
            return parting.as_mut().poll(cx).map(|()| Seen::Left);
        }
        Poll::Pending
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.half_closed.is_none() {
            let Some(departure) = &self.departure else {
                return Poll::Pending;
            };
            if departure.poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        if self.conversation.is_endless() {
            return Poll::Ready(());
        }
        let limit = match self.conversation.is_api() {
            true => self.api_half_closed_limit,
            false => self.half_closed_limit,
        };
        self.half_closed.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx)
    }

    fn poll_unused(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.unused.as_mut().poll(cx).is_ready() {
            let asked = self.conversation.asked();
            if asked == self.asked && !self.conversation.is_busy() {
                return Poll::Ready(());
            }
            self.asked = asked;
            self.unused.as_mut().reset(Instant::now() + self.unused_limit);
        }
        Poll::Pending
    }
}
