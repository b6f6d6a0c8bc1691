//! Bodies on their way through: frame by frame, never held.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use crate::end::{End, Wait};
use crate::headers;
use crate::lane::{Lease, Visit};
use crate::socket::Exchange;
use crate::wire::WireDownload;

/// The cause of a body's breaking off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

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

/// An app's answer's body on its way to the client. It holds the app's connection,
/// which may be kept once the answer was read to its end.
pub(crate) struct Download {
    source: Source,
    /// Ends the body at once: for streams of events, which have no end of their own.
    stop: Option<Wait>,
    _visit: Visit,
}

/// Where an answer's body comes from.
pub(crate) enum Source {
    /// A connection that serves one request after another.
    Kept {
        /// `None` once it was given back.
        body: Option<WireDownload>,
        /// What it is given back with; `None` with it.
        lease: Option<Lease>,
    },
    /// A connection for this exchange alone, which ends with its sender.
    Single { body: Incoming, _sender: SendRequest<Upload> },
}

impl Download {
    pub(crate) fn new(source: Source, visit: Visit) -> Self {
        Self { source, stop: None, _visit: visit }
    }

    /// The same body, which ends with `end`.
    pub(crate) fn until(mut self, end: &End) -> Self {
        self.stop = Some(end.wait());
        self
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(stop) = &mut self.stop
            && Pin::new(stop).poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        let mut frame = ready!(self.source.poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            headers::trailers_for_client(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Kept { body, .. } => body.as_ref().is_none_or(WireDownload::is_end_stream),
            Source::Single { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Kept { body, .. } => {
                body.as_ref().map_or(SizeHint::with_exact(0), WireDownload::size_hint)
            }
            Source::Single { body, .. } => body.size_hint(),
        }
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Kept { body: Some(body), .. } => {
                body.poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Self::Kept { body: None, .. } => Poll::Ready(None),
            Self::Single { body, .. } => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // A body of known length is dropped at its last byte, without asking for more.
        if let Self::Kept { body, lease } = self
            && let Some(wire) = body.take().and_then(WireDownload::into_kept)
            && let Some(lease) = lease.take()
        {
            lease.keep(wire);
        }
    }
}

/// The body of every answer: an app's, the API's, or the edge's own.
pub(crate) struct Body {
    kind: Kind,
    /// Over when the body is.
    _exchange: Option<Exchange>,
}

enum Kind {
    App(Download),
    Api(UnsyncBoxBody<Bytes, BoxError>),
    /// Empty once it was sent.
    Own(Bytes),
}

impl Body {
    pub(crate) fn app(body: Download) -> Self {
        Self { kind: Kind::App(body), _exchange: None }
    }

    pub(crate) fn api(body: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        Self { kind: Kind::Api(body), _exchange: None }
    }

    pub(crate) fn own(text: String) -> Self {
        Self { kind: Kind::Own(text.into()), _exchange: None }
    }

    /// The same body, whose end is the end of `exchange`.
    pub(crate) fn within(self, exchange: Exchange) -> Self {
        Self { _exchange: Some(exchange), ..self }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.kind {
            Kind::App(body) => body.poll_frame(cx),
            Kind::Api(body) => Pin::new(body).poll_frame(cx),
            Kind::Own(text) if text.is_empty() => Poll::Ready(None),
            Kind::Own(text) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::App(body) => body.is_end_stream(),
            Kind::Api(body) => body.is_end_stream(),
            Kind::Own(text) => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::App(body) => body.size_hint(),
            Kind::Api(body) => body.size_hint(),
            Kind::Own(text) => SizeHint::with_exact(text.len() as u64),
        }
    }
}
