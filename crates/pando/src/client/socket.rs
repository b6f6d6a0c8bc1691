//! A WebSocket, over the same HTTP client as everything else.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, Upgraded};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Client, ClientError, SILENCE_TIMEOUT};

/// What the server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Bytes.
    Bytes(Vec<u8>),
    /// JSON.
    Json(Value),
}

/// The way to the server.
pub struct Speak(SplitSink<WebSocketStream<Upgraded>, Message>);

/// The way from the server.
pub struct Listen(SplitStream<WebSocketStream<Upgraded>>);

/// Both ways of a WebSocket.
pub struct Socket {
    /// To the server.
    pub speak: Speak,
    /// From the server.
    pub listen: Listen,
}

impl Client {
    /// Opens a WebSocket at `path`, which starts below `/v1`.
    pub async fn socket(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Socket, ClientError> {
        let key = generate_key();
        let request = self
            .request(Method::GET, path)
            .query(query)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", &key);
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let accepted = response.headers().get("sec-websocket-accept").cloned();
        let wanted = derive_accept_key(key.as_bytes());
        if status != 101 || accepted.is_none_or(|accepted| accepted.as_bytes() != wanted.as_bytes())
        {
            let text = "it does not begin a WebSocket".to_owned();
            return Err(ClientError::Answer { status, text });
        }
        let upgraded = response.upgrade().await.map_err(ClientError::Broken)?;
        let (speak, listen) =
            WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await.split();
        Ok(Socket { speak: Speak(speak), listen: Listen(listen) })
    }
}

fn broken(error: impl std::fmt::Display) -> ClientError {
    ClientError::Socket(error.to_string())
}

impl Speak {
    /// Sends bytes.
    pub async fn bytes(&mut self, bytes: Vec<u8>) -> Result<(), ClientError> {
        self.0.send(Message::binary(bytes)).await.map_err(broken)
    }

    /// Sends JSON.
    pub async fn json(&mut self, value: &Value) -> Result<(), ClientError> {
        self.0.send(Message::text(value.to_string())).await.map_err(broken)
    }
}

impl Listen {
    /// What the server says next; `None` at the end. The server asks every 20 s
    /// whether we are there, so silence means that the connection is dead.
    pub async fn next(&mut self) -> Result<Option<Said>, ClientError> {
        loop {
            let secs = SILENCE_TIMEOUT.as_secs();
            let message = timeout(SILENCE_TIMEOUT, self.0.next()).await;
            let message = message.map_err(|_| broken(format!("nothing for {secs} s")))?;
            match message.transpose().map_err(broken)? {
                Some(Message::Binary(bytes)) => return Ok(Some(Said::Bytes(bytes.to_vec()))),
                Some(Message::Text(text)) => {
                    let json = serde_json::from_str(&text).map_err(broken)?;
                    return Ok(Some(Said::Json(json)));
                }
                Some(Message::Close(_)) | None => return Ok(None),
                Some(_) => {}
            }
        }
    }
}
