//! A client's stream that closes without losing the answer.
//!
//! A socket that is closed while the client still sends answers with a reset,
//! and a reset makes the client drop the answer it has not read yet: the early
//! "too large" to an upload would never be seen. So closing means: say that no
//! more will come, then take and drop what does, for a bounded time and up to a
//! bounded length.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Sleep, sleep};

use super::{Conversation, small};
use crate::limits::{LINGER, LINGER_BYTES};

/// The stream.
#[derive(Debug)]
pub(crate) struct Lingering {
    reads: OwnedReadHalf,
    /// The whole stream; a half of it is what can be shared.
    whole: Arc<OwnedWriteHalf>,
    conversation: Arc<Conversation>,
    write_stall: Duration,
    /// Runs from the moment nothing more could be written.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Runs from the moment this side is closed.
    deadline: Option<Pin<Box<Sleep>>>,
    /// What was dropped since.
    dropped_bytes: u64,
}

/// Tells whether the client is still there, beside whoever reads the stream.
#[derive(Debug)]
pub(crate) struct Departure(Arc<OwnedWriteHalf>);

impl Departure {
    /// Ready once the client has closed its direction, or is gone. To be polled by
    /// the task that reads, which is woken for both.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let stream: &TcpStream = self.0.as_ref().as_ref();
        let mut byte = [0];
        match ready!(stream.poll_peek(cx, &mut ReadBuf::new(&mut byte))) {
            // What it sends meanwhile stays where it is.
            Ok(1..) => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(()),
        }
    }
}

impl Lingering {
    /// Gives up a client that takes nothing for as long as `write_stall`.
    pub(crate) fn new(
        stream: TcpStream,
        conversation: Arc<Conversation>,
        write_stall: Duration,
    ) -> Self {
        let (reads, whole) = stream.into_split();
        let whole = Arc::new(whole);
        Self {
            reads,
            whole,
            conversation,
            write_stall,
            stalled: None,
            deadline: None,
            dropped_bytes: 0,
        }
    }

    pub(crate) fn departure(&self) -> Departure {
        Departure(Arc::clone(&self.whole))
    }

    /// Writes once, as soon as the client takes something.
    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = self.whole.as_ref().as_ref();
        while stream.poll_write_ready(cx)?.is_ready() {
            match write(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    self.stalled = None;
                    return Poll::Ready(written);
                }
            }
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.write_stall)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reads).poll_read(cx, buf)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let one = small::in_one_piece(bufs, |buf| self.as_mut().poll_write(cx, buf));
        one.unwrap_or_else(|| self.poll_write_with(cx, |stream| stream.try_write_vectored(bufs)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket holds nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.deadline.is_none() {
            let stream: &TcpStream = this.whole.as_ref().as_ref();
            rustix::net::shutdown(stream, Shutdown::Write)?;
            if this.conversation.is_tunnelled() {
                return Poll::Ready(Ok(()));
            }
        }
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut dropped = [0; 8192];
        while this.dropped_bytes < LINGER_BYTES && deadline.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut dropped);
            match ready!(Pin::new(&mut this.reads).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {
                    this.dropped_bytes += buf.filled().len() as u64;
                }
                // The client closed too, or is gone: either way nothing can be lost any more.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
