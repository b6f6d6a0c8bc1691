//! What a request holds of the server's memory: it is counted from its head until its
//! answer was written, and refused where there is no room ([`pando_node::held`]).
//!
//! Here is what every request is counted with, and what its answer is. What grows with
//! what a client or a guest sends is counted where it grows: bodies in `extract`, a
//! guest's answers in [`pando_node::guest`], inputs of `exec/ws` where they wait.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::Extensions;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use pando_node::held::{Account, Budget, Charge};
use pando_types::PublicError;
use pando_types::limits::{HELD_BY_REQUEST_BYTES, HELD_BY_STREAM_BYTES};

use crate::auth::Caller;
use crate::refusal::Refused;

/// An answer up to this length is counted with its request.
const SMALL_ANSWER_BYTES: u64 = 64 * 1024;

/// Lets a request through that there is room for, with its [`Account`] attached: its
/// caller's, or that of all who give no key.
pub async fn count(
    State(budget): State<Budget>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refused> {
    let caller = request.extensions().get::<Caller>();
    let account = budget.account(caller.map(|caller| caller.org));
    let mut charge = account.take(HELD_BY_REQUEST_BYTES).map_err(PublicError::from)?;
    request.extensions_mut().insert(account);
    let response = next.run(request).await;
    let more = match response.body().size_hint().exact() {
        Some(0..=SMALL_ANSWER_BYTES) => 0,
        Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        None => HELD_BY_STREAM_BYTES,
    };
    charge.grow(more).map_err(PublicError::from)?;
    Ok(response.map(|body| Body::new(Counted { body, charge: Arc::new(charge) })))
}

/// Where a request is counted. A route outside the middleware fails closed.
pub fn account(extensions: &Extensions) -> Result<&Account, PublicError> {
    extensions.get().ok_or_else(PublicError::internal)
}

/// A body whose charge lives until the last of its bytes was written, or all of it
/// dropped.
struct Counted {
    body: Body,
    charge: Arc<Charge>,
}

/// Bytes of such a body.
struct Piece {
    bytes: Bytes,
    _charge: Arc<Charge>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let piece = |bytes| Bytes::from_owner(Piece { bytes, _charge: Arc::clone(&self.charge) });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
