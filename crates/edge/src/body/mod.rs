//! Bodies on their way through: frame by frame, never held.

mod download;
mod upload;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;

pub(crate) use download::{Download, Source};
pub(crate) use upload::{Progress, Upload};

use crate::pace::Pace;
use crate::socket::Exchange;

/// The cause of a body's breaking off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every answer: an app's, the API's, or the edge's own.
pub(crate) struct Body {
    kind: Kind,
    /// Over when the body is; set once the answer is on its way.
    exchange: Option<Exchange>,
    /// That of its stream, over HTTP/2.
    pace: Option<Pace>,
    /// Why it broke off, until that may be told.
    broken: Option<BoxError>,
}

enum Kind {
    App(Download),
    Api(UnsyncBoxBody<Bytes, BoxError>),
    /// Empty once it was sent.
    Own(Bytes),
}

impl Body {
    pub(crate) fn app(body: Download) -> Self {
        Self::of(Kind::App(body))
    }

    pub(crate) fn api(body: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        Self::of(Kind::Api(body))
    }

    pub(crate) fn own(text: String) -> Self {
        Self::of(Kind::Own(text.into()))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, exchange: None, pace: None, broken: None }
    }

    /// The same body, whose end is the end of `exchange`.
    pub(crate) fn within(self, exchange: Exchange, pace: Option<Pace>) -> Self {
        Self { exchange: Some(exchange), pace, ..self }
    }

    /// Ready once what was sent before has left: at a break the HTTP library drops
    /// whatever it still holds.
    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        match (&self.pace, &self.exchange) {
            (Some(pace), _) => pace.poll_turn(cx),
            (None, Some(exchange)) => exchange.poll_flushed(),
            (None, None) => Poll::Ready(()),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.broken.is_none() {
            if let Some(pace) = &this.pace {
                pace.asked();
            }
            match ready!(this.kind.poll_frame(cx)) {
                Some(Err(error)) => this.broken = Some(error),
                frame => {
                    if let Some(pace) = &this.pace {
                        pace.handed_out();
                    }
                    return Poll::Ready(frame);
                }
            }
        }
        ready!(this.poll_sent(cx));
        Poll::Ready(this.broken.take().map(Err))
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

impl Kind {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::App(body) => body.poll_frame(cx),
            Self::Api(body) => Pin::new(body).poll_frame(cx),
            Self::Own(text) if text.is_empty() => Poll::Ready(None),
            Self::Own(text) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
        }
    }
}
