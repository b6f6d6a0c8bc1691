//! The API's client: one key, one base URL, JSON in and out, errors as the
//! server worded them.

mod config;
mod events;
mod socket;

use std::time::Duration;

use pando_types::Refusal;
use pando_types::page::List;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use config::ClientArgs;
pub use events::{Event, Events};
pub use socket::{Listen, Said, Socket, Speak};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take: a create may bake a new size first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(900);
/// How long a stream may be silent: the server sends a comment every 15 s.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// The most of a refusal's body that is read.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL is none.
    #[error("`{0}` is not the URL of a server")]
    Url(String),
    /// No connection.
    #[error("cannot reach {url}: {why}")]
    Connect {
        /// The base URL.
        url: String,
        /// The first cause: those between are the HTTP client's own business.
        why: String,
    },
    /// The server said no.
    #[error("{} ({status})", refusal.error)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        refusal: Refusal,
    },
    /// The connection broke.
    #[error("the connection to the server broke")]
    Broken(#[source] reqwest::Error),
    /// The WebSocket broke.
    #[error("the connection to the server broke: {0}")]
    Socket(String),
    /// The server said what this program does not understand.
    #[error("the server's answer ({status}) is not what Pando answers: {text}")]
    Answer {
        /// The HTTP status.
        status: u16,
        /// The start of it, or what is wrong with it.
        text: String,
    },
}

/// The client.
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    /// A request for `path`, which starts below `/v1`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/v1{path}", self.url)).bearer_auth(&self.key)
    }

    /// Sends; the answer is a success.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let sent = request.send().await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                ClientError::Connect { url: self.url.clone(), why: first_cause(&error) }
            } else {
                ClientError::Broken(error)
            }
        })?;
        let is_good =
            sent.status().is_success() || sent.status() == StatusCode::SWITCHING_PROTOCOLS;
        if is_good { Ok(sent) } else { Err(refusal(sent).await?) }
    }

    /// Sends a request whose answer is JSON, or nothing.
    pub async fn json(&self, request: RequestBuilder) -> Result<Value, ClientError> {
        let response = self.send(request.timeout(ANSWER_TIMEOUT)).await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(ClientError::Broken)?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| ClientError::Answer { status, text: error.to_string() })
    }

    /// `GET`s JSON.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.json(self.request(Method::GET, path)).await
    }

    /// `GET`s text.
    pub async fn text(&self, request: RequestBuilder) -> Result<String, ClientError> {
        let response = self.send(request.timeout(ANSWER_TIMEOUT)).await?;
        response.text().await.map_err(ClientError::Broken)
    }

    /// `GET`s a list whole, page after page.
    pub async fn list(&self, path: &str) -> Result<Value, ClientError> {
        self.list_where(path, &[]).await
    }

    /// The same, of what the pairs of `query` say.
    pub async fn list_where(
        &self,
        path: &str,
        query: &[(String, String)],
    ) -> Result<Value, ClientError> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut request = self.request(Method::GET, path).query(query);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let mut page: List<Value> = read(&self.json(request).await?)?;
            items.append(&mut page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(json!({ "items": items }));
            }
        }
    }

    /// `POST`s JSON.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Value, ClientError> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT`s JSON.
    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Value, ClientError> {
        self.json(self.request(Method::PUT, path).json(body)).await
    }

    /// `PATCH`es JSON.
    pub async fn patch(&self, path: &str, body: &impl Serialize) -> Result<Value, ClientError> {
        self.json(self.request(Method::PATCH, path).json(body)).await
    }

    /// `DELETE`s.
    pub async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.json(self.request(Method::DELETE, path)).await
    }

    /// Sends; the answer is a stream of events.
    pub async fn events(&self, request: RequestBuilder) -> Result<Events, ClientError> {
        let request = request.header("accept", "text/event-stream");
        Ok(Events::new(self.send(request).await?))
    }
}

/// What an answer's JSON holds.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, ClientError> {
    T::deserialize(value)
        .map_err(|error| ClientError::Answer { status: 200, text: error.to_string() })
}

fn first_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The refusal in an answer that is no success.
async fn refusal(mut response: Response) -> Result<ClientError, ClientError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(ClientError::Broken)? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_REFUSAL_BYTES {
            break;
        }
    }
    Ok(match serde_json::from_slice(&body) {
        Ok(refusal) => ClientError::Refused { status, refusal },
        Err(_) => {
            let text = String::from_utf8_lossy(&body);
            let text = text.chars().filter(|c| !c.is_control()).take(200).collect();
            ClientError::Answer { status, text }
        }
    })
}
