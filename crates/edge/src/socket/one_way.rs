//! An app's stream that still reads when it can no longer write.
//!
//! An app may answer and close before it has read the whole request. The next
//! write then fails, and an HTTP client would give up with the answer unread in
//! its socket. Here a failed write only means that nobody listens: the rest of
//! the request is dropped, and reading goes on to the app's last byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::small;

/// The stream.
#[derive(Debug)]
pub(crate) struct OneWay {
    inner: TcpStream,
    /// A write failed: the app takes nothing any more.
    deaf: bool,
}

impl OneWay {
    pub(crate) fn new(inner: TcpStream) -> Self {
        Self { inner, deaf: false }
    }

    /// The outcome of a write of `len` bytes.
    fn written(&mut self, result: io::Result<usize>, len: usize) -> io::Result<usize> {
        result.or_else(|_| {
            self.deaf = true;
            Ok(len)
        })
    }
}

impl AsyncRead for OneWay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for OneWay {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let result = ready!(Pin::new(&mut self.inner).poll_write(cx, buf));
        Poll::Ready(self.written(result, buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(len));
        }
        let mut inner = Pin::new(&mut self.inner);
        let one = small::in_one_piece(bufs, |buf| inner.as_mut().poll_write(cx, buf));
        let result = ready!(one.unwrap_or_else(|| inner.poll_write_vectored(cx, bufs)));
        Poll::Ready(self.written(result, len))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
