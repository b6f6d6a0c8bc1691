//! WebSockets: how they begin, and how one whose client is gone is noticed.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use pando_types::limits::MAX_WEBSOCKET_MESSAGE_BYTES;
use pando_types::{Code, PublicError};
use serde_json::Value;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::refusal::Refused;

/// How often a client is asked whether it is still there.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a client may say nothing at all, not even that it is there.
const SILENCE_LIMIT: Duration = Duration::from_secs(65);
/// How long a client may not take what it is sent.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// Whether a request asks for a WebSocket. One that does not is refused last, so
/// that plain HTTP, too, learns what else is wrong with it.
pub struct Handshake(Result<WebSocketUpgrade, WebSocketUpgradeRejection>);

impl<S: Send + Sync> FromRequestParts<S> for Handshake {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self(WebSocketUpgrade::from_request_parts(parts, state).await))
    }
}

impl Handshake {
    /// The WebSocket that is asked for; 426 when none is.
    pub fn asked(self) -> Result<Upgrade, Refused> {
        self.0.map(Upgrade).map_err(|rejection| {
            let message = format!("this route speaks WebSocket (RFC 6455): {rejection}");
            let error = PublicError::new(Code::InvalidRequest, message);
            Refused::with_status(StatusCode::UPGRADE_REQUIRED, error)
        })
    }
}

/// A WebSocket that is asked for.
pub struct Upgrade(WebSocketUpgrade);

impl Upgrade {
    /// The answer that begins the WebSocket, which `serve` serves to its end.
    pub fn begin<F>(self, serve: impl FnOnce(Sender, Receiver) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let sized = self
            .0
            .max_message_size(MAX_WEBSOCKET_MESSAGE_BYTES)
            .max_frame_size(MAX_WEBSOCKET_MESSAGE_BYTES);
        sized.on_upgrade(|socket| {
            let (sink, stream) = socket.split();
            serve(Sender(sink), Receiver(stream))
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
