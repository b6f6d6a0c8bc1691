//! A client's HTTP/1.1 stream whose heads were judged before anything reads them.
//!
//! A head passes whole and good, or not at all. In the place of a refused one goes
//! a request that stands for it, so that its answer takes its turn behind those
//! that are still due; the router knows it by its number, and nothing follows it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::Conversation;
use crate::head::{Refusal, Scanner, Stop};

/// Stands for a refused head; only its number means anything.
const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// How much is read at once into a head that came in pieces.
const PIECE_BYTES: usize = 4096;

/// The stream.
#[derive(Debug)]
pub(crate) struct Guard<S> {
    inner: S,
    conversation: Arc<Conversation>,
    /// How long a head may take.
    patience: Duration,
    scanner: Scanner,
    /// What was read and may not go on yet.
    held: BytesMut,
    /// What may go on and was not asked for yet.
    ready: BytesMut,
    end: End,
    /// Runs while a head is incomplete.
    head_deadline: Option<Pin<Box<Sleep>>>,
}

/// Whether and how the client's bytes ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Open,
    Ended,
    /// The body broke its framing.
    Broken,
}

impl<S> Guard<S> {
    /// Guards `inner`, of which `first` was already read.
    pub(crate) fn new(
        inner: S,
        first: BytesMut,
        conversation: Arc<Conversation>,
        patience: Duration,
    ) -> Self {
        let mut guard = Self {
            inner,
            conversation,
            patience,
            scanner: Scanner::new(),
            held: first,
            ready: BytesMut::new(),
            end: End::Open,
            head_deadline: None,
        };
        guard.sift();
        guard
    }

    /// Looks at what is held, and makes ready what may go on.
    fn sift(&mut self) {
        let found = self.scanner.scan(&self.held);
        let passed = self.held.split_to(found.passed);
        if self.ready.is_empty() {
            self.ready = passed;
        } else {
            self.ready.extend_from_slice(&passed);
        }
        self.note(found.heads, found.stop);
    }

    fn note(&mut self, heads: usize, stop: Option<Stop>) {
        if heads > 0 {
            self.conversation.ask(heads);
            if self.scanner.is_switched() {
                self.conversation.set_switching();
            }
        }
        match stop {
            None => {}
            Some(Stop::Refused(refusal)) => self.refuse(refusal),
            Some(Stop::BrokenBody) => {
                self.held.clear();
                self.end = End::Broken;
            }
        }
        if self.held.is_empty() {
            self.head_deadline = None;
        } else if self.head_deadline.is_none() {
            self.head_deadline = Some(Box::pin(sleep(self.patience)));
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.conversation.refuse(refusal);
        self.held.clear();
        self.ready.extend_from_slice(REFUSED);
        self.end = End::Ended;
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Reads into a head that came in pieces.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.held.reserve(PIECE_BYTES);
        let mut piece = [std::mem::MaybeUninit::uninit(); PIECE_BYTES];
        let mut buf = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf))?;
        self.held.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Reads straight into `buf` and leaves there what may go on.
    fn poll_through(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let read = buf.filled().get(before..).unwrap_or_default();
        let count = read.len();
        if count > 0 {
            let found = self.scanner.scan(read);
            self.held.extend_from_slice(read.get(found.passed..).unwrap_or_default());
            buf.set_filled(before + found.passed);
            self.note(found.heads, found.stop);
        }
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        loop {
            if !this.ready.is_empty() {
                let count = this.ready.len().min(buf.remaining());
                buf.put_slice(this.ready.get(..count).unwrap_or_default());
                this.ready.advance(count);
                return Poll::Ready(Ok(()));
            }
            match this.end {
                End::Open => {}
                End::Ended => return Poll::Ready(Ok(())),
                End::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            }
            if let Some(deadline) = &mut this.head_deadline
                && deadline.as_mut().poll(cx).is_ready()
            {
                this.refuse(Refusal::Slow);
                this.head_deadline = None;
                continue;
            }
            let count = if this.held.is_empty() {
                ready!(this.poll_through(cx, buf))?
            } else {
                let count = ready!(this.poll_held(cx))?;
                if count > 0 {
                    this.sift();
                }
                count
            };
            if count == 0 {
                this.end = End::Ended;
            } else if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.conversation.note_flush(cx.waker());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
