//! A connection to an app for requests without a body, which are nearly all.
//!
//! Such an exchange goes one way and then the other, so it needs neither a task of
//! its own nor channels to it: whoever serves the client writes the request and
//! reads the answer. Requests with bodies, and switches of protocols, ride on the
//! HTTP library's client (`forward`), which does both ways at once.

mod answer;
mod download;
mod request;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::{Request, Response, StatusCode};
use rustix::net::Shutdown;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

pub(crate) use download::WireDownload;

use crate::alarm::Alarm;
use crate::limits::{MAX_HEADER_BYTES, MAX_INTERIM_ANSWERS};
use answer::{Ahead, Head};

/// Room for one read: a head and a small body.
const READ_BYTES: usize = 8 * 1024;

/// The connection. Between exchanges nothing is in its buffer.
#[derive(Debug)]
pub(crate) struct Wire {
    reads: OwnedReadHalf,
    /// The whole stream; a half of it is what can be shared.
    whole: Arc<OwnedWriteHalf>,
    buf: BytesMut,
    alarm: Alarm,
}

/// Closes a connection that is in use elsewhere.
#[derive(Debug)]
pub(crate) struct Cutter(Weak<OwnedWriteHalf>);

impl Cutter {
    /// Whether the connection is gone anyway.
    pub(crate) fn is_done(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// Ends the connection: whoever waits for it reads its end.
    pub(crate) fn cut(&self) {
        if let Some(whole) = self.0.upgrade() {
            let stream: &TcpStream = whole.as_ref().as_ref();
            // It can only fail because the connection has ended already.
            let _ = rustix::net::shutdown(stream, Shutdown::Both);
        }
    }
}

/// Why an exchange brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// The connection ended before an answer's head was there.
    Lost,
    /// What came is not HTTP, or not what an answer to this request can be.
    Malformed,
    /// The answer did not begin in time.
    Slow,
}

/// The head of an answer and what follows it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub head: Response<()>,
    pub body: Ahead,
    /// The app goes on with the connection after the body.
    pub keeps: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let (reads, whole) = stream.into_split();
        let buf = BytesMut::with_capacity(READ_BYTES);
        Self { reads, whole: Arc::new(whole), buf, alarm: Alarm::default() }
    }

    pub(crate) fn cutter(&self) -> Cutter {
        Cutter(Arc::downgrade(&self.whole))
    }

    /// Whether an unused connection can be used: open, and nothing said unasked.
    pub(crate) fn is_silent(&self) -> bool {
        // Asks the system only if there is news.
        let outcome = self.reads.try_read(&mut [0]);
        outcome.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a request without a body and waits for its answer's head until
    /// `deadline`.
    pub(crate) async fn exchange(
        &mut self,
        request: &Request<()>,
        deadline: Instant,
    ) -> Result<Answer, Silence> {
        self.alarm.set(deadline);
        self.send(&request::encode(request)).await?;
        let mut interim = 0;
        let mut searched = 0;
        loop {
            match answer::take_head(&mut self.buf, &mut searched, request.method()) {
                Ok(Some(Head::Final(answer))) => return Ok(answer),
                Ok(Some(Head::Interim(status))) => {
                    interim += 1;
                    let switches = status == StatusCode::SWITCHING_PROTOCOLS;
                    if switches || interim > MAX_INTERIM_ANSWERS {
                        return Err(Silence::Malformed);
                    }
                }
                Ok(None) if self.buf.len() > MAX_HEADER_BYTES => return Err(Silence::Malformed),
                Ok(None) => match poll_fn(|cx| self.poll_timed(cx)).await? {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return Err(Silence::Lost),
                },
                Err(answer::Malformed) => return Err(Silence::Malformed),
            }
        }
    }

    async fn send(&mut self, request: &[u8]) -> Result<(), Silence> {
        let mut sent = 0;
        poll_fn(|cx| {
            while let Some(rest) = request.get(sent..)
                && !rest.is_empty()
            {
                match self.poll_write(cx, rest) {
                    Poll::Ready(Ok(count)) => sent += count,
                    // The app may have answered and closed before it read this; so
                    // what it said is what counts.
                    Poll::Ready(Err(_)) => break,
                    Poll::Pending => return self.alarm.poll(cx).map(|()| Err(Silence::Slow)),
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // One holder of the whole stream writes; the others only cut it.
        let stream: &TcpStream = self.whole.as_ref().as_ref();
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn poll_timed(&mut self, cx: &mut Context<'_>) -> Poll<Result<io::Result<usize>, Silence>> {
        if let Poll::Ready(read) = self.poll_fill(cx, READ_BYTES) {
            return Poll::Ready(Ok(read));
        }
        self.alarm.poll(cx).map(|()| Err(Silence::Slow))
    }

    /// Reads up to `wanted` bytes more.
    fn poll_fill(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        self.buf.reserve(wanted);
        poll_read_buf(Pin::new(&mut self.reads), cx, &mut self.buf)
    }
}
