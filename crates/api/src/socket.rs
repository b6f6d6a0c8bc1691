//! WebSockets: how they begin, and how one whose client is gone is noticed.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use pando_node::held::{Account, Charge};
use pando_types::limits::{HELD_BY_WEBSOCKET_BYTES, MAX_WEBSOCKET_MESSAGE_BYTES};
use pando_types::{Code, PublicError};
use serde_json::Value;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::held;
use crate::refusal::Refused;

/// How often a client is asked whether it is still there.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a client may say nothing at all, not even that it is there.
const SILENCE_LIMIT: Duration = Duration::from_secs(65);
/// How long a client may not take what it is sent.
const STALL_LIMIT: Duration = Duration::from_secs(60);
/// What is read at once, and what is put together before it is written.
const BUFFER_BYTES: usize = 16 * 1024;

/// Whether a request asks for a WebSocket. One that does not is refused last, so
/// that plain HTTP, too, learns what else is wrong with it.
pub struct Handshake {
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    account: Account,
}

impl<S: Send + Sync> FromRequestParts<S> for Handshake {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let account = held::account(&parts.extensions)?.clone();
        Ok(Self { upgrade: WebSocketUpgrade::from_request_parts(parts, state).await, account })
    }
}

impl Handshake {
    /// The WebSocket that is asked for; 426 when none is, 503 when there is no room for
    /// what it holds.
    pub fn asked(self) -> Result<Upgrade, Refused> {
        let upgrade = self.upgrade.map_err(|rejection| {
            let message = format!("this route speaks WebSocket (RFC 6455): {rejection}");
            let error = PublicError::new(Code::InvalidRequest, message);
            Refused::with_status(StatusCode::UPGRADE_REQUIRED, error)
        })?;
        let charge = self.account.take(HELD_BY_WEBSOCKET_BYTES).map_err(PublicError::from)?;
        Ok(Upgrade { upgrade, charge })
    }
}

/// A WebSocket that is asked for.
pub struct Upgrade {
    upgrade: WebSocketUpgrade,
    /// For as long as it is served.
    charge: Charge,
}

impl Upgrade {
    /// The answer that begins the WebSocket, which `serve` serves to its end.
    pub fn begin<F>(self, serve: impl FnOnce(Sender, Receiver) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { upgrade, charge } = self;
        let sized = upgrade
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_message_size(MAX_WEBSOCKET_MESSAGE_BYTES)
            .max_frame_size(MAX_WEBSOCKET_MESSAGE_BYTES);
        sized.on_upgrade(async move |socket| {
            let (sink, stream) = socket.split();
            serve(Sender(sink), Receiver(stream)).await;
            drop(charge);
        })
    }
}

/// When to ask whether the client is there.
pub fn pings() -> Interval {
    let mut ticks = interval(PING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}

/// The client is gone, or as good as.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone;

/// What the client is sent.
pub struct Sender(SplitSink<WebSocket, Message>);

impl Sender {
    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(STALL_LIMIT, self.0.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }

    /// Bytes.
    pub async fn bytes(&mut self, bytes: bytes::Bytes) -> Result<(), Gone> {
        self.send(Message::Binary(bytes)).await
    }

    /// JSON, as text.
    pub async fn json(&mut self, value: &Value) -> Result<(), Gone> {
        self.send(Message::text(value.to_string())).await
    }

    /// The question whether it is there.
    pub async fn ping(&mut self) -> Result<(), Gone> {
        self.send(Message::Ping(bytes::Bytes::new())).await
    }

    /// The end.
    pub async fn close(mut self) {
        // A client that is gone needs no goodbye.
        let _ = self.send(Message::Close(None)).await;
    }
}

/// What the client says.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Bytes.
    Bytes(bytes::Bytes),
    /// Text.
    Text(String),
}

impl Heard {
    /// How many bytes that is.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
        }
    }
}

/// Where the client is heard.
pub struct Receiver(SplitStream<WebSocket>);

impl Receiver {
    /// What it says next; `None` when it has left, or says not even that it is there.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            let message = timeout(SILENCE_LIMIT, self.0.next()).await.ok()??.ok()?;
            match message {
                Message::Binary(bytes) => return Some(Heard::Bytes(bytes)),
                Message::Text(text) => return Some(Heard::Text(text.to_string())),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return None,
            }
        }
    }
}
