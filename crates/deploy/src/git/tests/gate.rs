//! A web server before the forge: it hears what it is asked, lets through who knows the
//! token, and sends elsewhere what has moved.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio_util::task::AbortOnDropHandle;

/// What it does with a request.
#[derive(Default)]
pub(super) struct Rules {
    /// Where all else goes: the forge's address.
    pub to: String,
    /// `user:password`; without one, anyone comes through.
    pub login: Option<String>,
    /// By the beginning of a path: where it is now.
    pub moved: HashMap<String, String>,
    /// By path: what is answered. `{gate}` stands for its own address.
    pub answers: HashMap<String, Vec<u8>>,
}

/// A path that was asked for, and the login that was shown.
type Heard = (String, Option<String>);

/// A running one.
pub(super) struct Gate {
    pub address: SocketAddr,
    rules: Arc<Mutex<Rules>>,
    heard: Arc<Mutex<Vec<Heard>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Gate {
    pub(super) async fn start(rules: Rules) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (rules, heard) = (Arc::new(Mutex::new(rules)), Arc::new(Mutex::new(Vec::new())));
        let (asked, told) = (Arc::clone(&rules), Arc::clone(&heard));
        let app = Router::new().fallback(move |request: Request| {
            let (rules, heard) = (Arc::clone(&asked), Arc::clone(&told));
            async move { answer(&rules, &heard, address, request).await }
        });
        let serving = AbortOnDropHandle::new(tokio::spawn(async move {
            axum::serve(listener, app).await.unwrap();
        }));
        Self { address, rules, heard, _serving: serving }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().unwrap());
    }

    /// What was asked since it was last called.
    pub(super) fn heard(&self) -> Vec<Heard> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

async fn answer(
    rules: &Mutex<Rules>,
    heard: &Mutex<Vec<Heard>>,
    own: SocketAddr,
    request: Request,
) -> Response {
    let uri = request.uri().to_string();
    let login = request.headers().get(header::AUTHORIZATION).map(|value| {
        let value = value.to_str().unwrap();
        let basic = value.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
        basic.map_or_else(|| value.to_owned(), |text| String::from_utf8(text).unwrap())
    });
    heard.lock().unwrap().push((uri.clone(), login.clone()));
    let to = {
        let rules = rules.lock().unwrap();
        if rules.login.is_some() && rules.login != login {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"gate\"")];
            return (StatusCode::UNAUTHORIZED, challenge).into_response();
        }
        for (from, to) in &rules.moved {
            if let Some(rest) = uri.strip_prefix(from.as_str()) {
                let place = [(header::LOCATION, format!("{to}{rest}"))];
                return (StatusCode::MOVED_PERMANENTLY, place).into_response();
            }
        }
        if let Some(answer) = rules.answers.get(request.uri().path()) {
            let text = String::from_utf8(answer.clone());
            return match text {
                Ok(text) => text.replace("{gate}", &format!("http://{own}")).into_response(),
                Err(_) => answer.clone().into_response(),
            };
        }
        format!("{}{uri}", rules.to)
    };
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let mut on = reqwest::Client::new().request(parts.method, to).body(body);
    for (name, value) in &parts.headers {
        if ![header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH].contains(name) {
            on = on.header(name, value);
        }
    }
    let came = on.send().await.unwrap();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = came.status();
    for (name, value) in came.headers() {
        if name != header::TRANSFER_ENCODING && name != header::CONTENT_LENGTH {
            response.headers_mut().insert(name, value.clone());
        }
    }
    *response.body_mut() = Body::from(came.bytes().await.unwrap());
    response
}
