//! An answer's body, from its app.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use super::{BoxError, Upload};
use crate::end::{End, Wait};
use crate::headers;
use crate::lane::{Lease, Visit};
use crate::wire::WireDownload;

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

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
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

    pub(super) fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Kept { body, .. } => body.as_ref().is_none_or(WireDownload::is_end_stream),
            Source::Single { body, .. } => body.is_end_stream(),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
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
