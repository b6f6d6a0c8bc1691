//! Bodies on their way through: frame by frame, never held.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::headers;
use crate::pool::Lease;

/// The cause of a body's breaking off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of every response of this crate.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// When the client last sent something: the app's time to answer counts from there.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    pub(crate) fn start() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A request's body on its way to the app.
#[derive(Debug)]
pub(crate) enum Upload {
    /// The request has none.
    Empty,
    /// What the client sends, as it comes.
    Stream(Incoming, Progress),
}

impl Upload {
    pub(crate) fn new(body: Incoming, progress: &Progress) -> Self {
        if body.is_end_stream() { Self::Empty } else { Self::Stream(body, progress.clone()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self::Stream(body, progress) = self.get_mut() else {
            return Poll::Ready(None);
        };
        let mut frame = ready!(Pin::new(body).poll_frame(cx));
        progress.note();
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            headers::trailers_for_app(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(body, _) => body.size_hint(),
        }
    }
}

/// An answer's body on its way to the client. It holds the app's connection, and
/// gives it back once the answer was read to its end.
pub(crate) struct Download {
    body: Incoming,
    /// `None` once given back.
    lease: Option<Lease>,
    ended: bool,
    /// Ends the body at once: for streams of events, which have no end of their own.
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Download {
    pub(crate) fn new(body: Incoming, lease: Lease) -> Self {
        Self { body, lease: Some(lease), ended: false, stop: None }
    }

    /// The same body, which ends when `token` is cancelled.
    pub(crate) fn until(mut self, token: CancellationToken) -> Self {
        self.stop = Some(Box::pin(token.cancelled_owned()));
        self
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(stop) = &mut self.stop
            && stop.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &mut frame {
            None => self.ended = true,
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::trailers_for_client(trailers);
                }
            }
            Some(Err(_)) => {}
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // A body of known length is dropped at its last byte, without asking for more.
        if (self.ended || self.body.is_end_stream())
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }
}
