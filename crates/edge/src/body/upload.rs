//! A request's body, from its client to its app.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::headers;

/// How an upload goes on.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<Upward>);

#[derive(Debug)]
struct Upward {
    /// When the client last sent something: the app's time to answer counts from there.
    last: Mutex<Instant>,
    /// The body ended before its end, or is not framed as it should be.
    broken: AtomicBool,
}

impl Progress {
    fn start() -> Self {
        Self(Arc::new(Upward { last: Mutex::new(Instant::now()), broken: AtomicBool::new(false) }))
    }

    pub(crate) fn last(&self) -> Instant {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Acquire)
    }

    fn note(&self) {
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn note_broken(&self) {
        self.0.broken.store(true, Ordering::Release);
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
    pub(crate) fn new(body: Incoming) -> Self {
        if body.is_end_stream() { Self::Empty } else { Self::Stream(body, Progress::start()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// `None` where nothing is sent.
    pub(crate) fn progress(&self) -> Option<Progress> {
        match self {
            Self::Empty => None,
            Self::Stream(_, progress) => Some(progress.clone()),
        }
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
        match &mut frame {
            None => {}
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::trailers_for_app(trailers);
                }
            }
            Some(Err(_)) => progress.note_broken(),
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
