//! What every request meets, whatever its route: the real shell around probe
//! routes, with real keys in a real store.

use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::{get, post, put};
use http_body_util::BodyExt;
use pando_types::app::{CreateApp, CreateDeployment};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use pando_store::{QuotaRow, Store};
use prometheus_client::registry::Registry;

use super::*;
use crate::KeyUsage;
use crate::auth::Caller;
use crate::extract::JsonBody;
use crate::idempotency::OptionalOnce;
use crate::key::NewKey;
use crate::socket::Handshake;

/// A server of probe routes; the folder lives as long as it does.
struct Shell {
    router: Router,
    requests: Requests,
    store: Store,
    key: NewKey,
    budget: Budget,
    _data: TempDir,
}

/// Room for a few requests, and for the largest body of a webhook.
const BUDGET_BYTES: usize = 64 << 20;
const LARGE_BYTES: usize = 1 << 20;

fn chunks() -> impl futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    futures_util::stream::iter((0..4).map(|_| Ok(Bytes::from_static(&[b'y'; 1000]))))
}

impl Shell {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(&data.path().join("pando.db")).await.unwrap();
        let org = store.org_default().await.unwrap().id;
        let key = NewKey::generate(org, "test", store.now()).unwrap();
        assert_eq!(store.key_insert(&key.row).await.unwrap(), pando_store::Insert::Done);
        let keyed = Router::new()
            .route("/label", get(async |caller: Caller| caller.label))
            .route("/app", post(async |JsonBody(app): JsonBody<CreateApp>| app.name.clone()))
            .route(
                "/deploy",
                post(async |OptionalOnce(once): OptionalOnce<CreateDeployment>| {
                    format!("{:?}", once.request)
                }),
            )
            .route("/file", put(async |path: crate::sandboxes::fs::path::FilePath| path.0))
            .route("/socket", get(async |handshake: Handshake| handshake.asked().map(|_| "asked")))
            .route("/large", get(async || Body::from(vec![b'x'; LARGE_BYTES])))
            .route("/stream", get(async || Body::from_stream(chunks())))
            .route("/panic", get(async || -> String { panic!("on purpose") }));
        let signed = Router::new()
            .route("/webhooks/probe", post(async |body: String| body.len().to_string()));
        let parts = Parts {
            keyed: later::add_to(keyed),
            signed,
            free: Router::new()
                .route("/healthz", get(async || "ok"))
                .route("/v1/schemas/pando.toml.json", get(crate::schemas::pando_toml)),
            document: document(),
        };
        let requests = Requests::default();
        let door = auth::Door { store: store.clone(), usage: KeyUsage::default() };
        let budget = Budget::new(BUDGET_BYTES);
        let router = assemble(parts, door, budget.clone(), requests.clone());
        Self { router, requests, store, key, budget, _data: data }
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends with the key; the status and what the body says.
    async fn ask(&self, method: &str, path: &str, body: impl Into<Body>) -> (u16, String) {
        let bearer = format!("Bearer {}", self.key.text);
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, bearer).body(body.into()).unwrap();
        said(self.send(request).await).await
    }

    /// The same where a refusal is awaited: the status, its code, its field.
    async fn refused(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Body>,
    ) -> (u16, String, Option<String>) {
        let (status, text) = self.ask(method, path, body).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(body["error"].is_string(), "{text}");
        let field = body["field"].as_str().map(str::to_owned);
        (status, body["code"].as_str().unwrap().to_owned(), field)
    }
}

async fn said(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn a_key_opens_the_door_and_a_deleted_one_does_not() {
    let shell = Shell::start().await;
    assert_eq!(shell.ask("GET", "/v1/label", "").await, (200, "test".into()));
    let by_header = Request::get("/v1/label").header("x-api-key", &shell.key.text);
    assert_eq!(shell.send(by_header.body(Body::empty()).unwrap()).await.status(), 200);

    for wrong in [format!("{}0", shell.key.text), "pando_".into(), "x".repeat(7000)] {
        let request =
            Request::get("/v1/label").header(header::AUTHORIZATION, format!("Bearer {wrong}"));
        let (status, text) = said(shell.send(request.body(Body::empty()).unwrap()).await).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, body["code"].as_str()), (401, Some("unauthorized")));
        assert!(body["error"].as_str().unwrap().starts_with("unauthorized"));
        assert!(!text.contains(&wrong) || wrong == "pando_");
    }

    assert!(shell.store.key_delete(shell.key.row.org, shell.key.row.id).await.unwrap());
    assert_eq!(shell.ask("GET", "/v1/label", "").await.0, 401);
}

#[tokio::test]
async fn a_key_ends_when_it_was_to_and_tells_of_its_use() {
    let shell = Shell::start().await;
    let org = shell.key.row.org;
    let mut late = NewKey::generate(org, "late", shell.store.now()).unwrap();
    late.row.expires = Some(shell.store.now());
    let _ = shell.store.key_insert(&late.row).await.unwrap();
    let request = Request::get("/v1/label").header("x-api-key", &late.text);
    let (status, text) = said(shell.send(request.body(Body::empty()).unwrap()).await).await;
    assert_eq!(status, 401);
    assert!(text.contains("expired at"), "{text}");

    let used = async || {
        let keys = shell.store.key_list(org, None, 10).await.unwrap();
        keys.iter().map(|key| key.last_used.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(used().await, [false, false]);
    assert_eq!(shell.ask("GET", "/v1/label", "").await.0, 200);
    assert_eq!(used().await.iter().filter(|used| **used).count(), 1);
}

#[tokio::test]
async fn a_key_that_asks_too_fast_waits() {
    let shell = Shell::start().await;
    let mut tx = shell.store.begin().await.unwrap();
    let quota = QuotaRow { requests_per_second: Some(1), ..QuotaRow::default() };
    tx.org_set_quota(shell.key.row.org, &quota).await.unwrap();
    tx.commit().await.unwrap();
    let request = || {
        let request = Request::get("/v1/label").header("x-api-key", &shell.key.text);
        request.body(Body::empty()).unwrap()
    };
    // Two at once are fine; however slow this machine, one of so many is too early.
    for _ in 0..1000 {
        let response = shell.send(request()).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
            let (_, text) = said(response).await;
            assert!(text.contains("over_quota"), "{text}");
            return;
        }
        assert_eq!(response.status(), StatusCode::OK);
    }
    panic!("never refused");
}

#[tokio::test]
async fn all_of_v1_needs_a_key_and_the_rest_does_not() {
    let shell = Shell::start().await;
    let status = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        shell.send(request).await.status().as_u16()
    };
    for path in ["/v1/label", "/v1/no-such-route", "/v1/snapshots", "/v1/sandboxes/x/fork"] {
        assert_eq!(status("GET", path).await, 401, "{path}");
    }
    for path in ["/healthz", "/openapi.json", "/docs/", "/v1/schemas/pando.toml.json"] {
        assert_eq!(status("GET", path).await, 200, "{path}");
    }
    assert_eq!(status("POST", "/v1/webhooks/probe").await, 200);
    assert_eq!(status("GET", "/elsewhere").await, 404);
}

#[tokio::test]
async fn every_refusal_has_one_shape() {
    let shell = Shell::start().await;
    let refused = |status, code: &str, field: Option<&str>| {
        (status, code.to_owned(), field.map(str::to_owned))
    };
    let bad = |field| refused(400, "invalid_request", field);
    assert_eq!(shell.refused("POST", "/v1/app", "{").await, bad(None));
    assert_eq!(shell.refused("POST", "/v1/app", "").await, bad(None));
    assert_eq!(shell.refused("POST", "/v1/app", r#"{"git_url":"x"}"#).await, bad(Some("name")));
    assert_eq!(
        shell.refused("POST", "/v1/app", r#"{"name":7,"git_url":"x"}"#).await,
        bad(Some("name"))
    );
    assert_eq!(shell.refused("POST", "/v1/app", "\u{0}").await, bad(None));
    assert_eq!(shell.refused("PUT", "/v1/file", "").await, bad(Some("path")));
    assert_eq!(shell.refused("PUT", "/v1/file?path=%FF", "").await, bad(Some("path")));
    assert_eq!(shell.refused("PUT", "/v1/file?path=/a/../b", "").await, bad(Some("path")));
    assert_eq!(shell.refused("PUT", "/v1/file?path=/a%00", "").await, bad(Some("path")));
    assert_eq!(shell.refused("GET", "/v1/nope", "").await, refused(404, "not_found", None));
    assert_eq!(shell.refused("GET", "/nope", "").await, refused(404, "not_found", None));
    assert_eq!(shell.refused("GET", "/v1/app", "").await, refused(405, "invalid_request", None));
    assert_eq!(shell.refused("POST", "/healthz", "").await, refused(405, "invalid_request", None));
    assert_eq!(
        shell.refused("GET", "/v1/webhooks/probe", "").await,
        refused(405, "invalid_request", None)
    );
    assert_eq!(shell.refused("GET", "/v1/panic", "").await, refused(500, "internal", None));
    let large = vec![b' '; limits::MAX_JSON_BODY_BYTES + 1];
    assert_eq!(shell.refused("POST", "/v1/app", large).await, refused(413, "too_large", None));
}

#[tokio::test]
async fn a_request_is_counted_until_its_answer_was_taken() {
    let shell = Shell::start().await;
    let ask = async |path: &str| {
        let request = Request::get(path).header("x-api-key", &shell.key.text);
        shell.send(request.body(Body::empty()).unwrap()).await
    };
    for (path, more) in [
        ("/v1/label", 0),
        ("/v1/large", LARGE_BYTES),
        ("/v1/stream", limits::HELD_BY_STREAM_BYTES),
        ("/docs/swagger-ui-bundle.js", 1 << 20),
    ] {
        let counted = limits::HELD_BY_REQUEST_BYTES + more;
        let response = ask(path).await;
        assert!(shell.budget.taken_bytes() >= counted, "{path}");
        assert_eq!(response.headers().contains_key("content-length"), path != "/v1/stream");
        let mut body = response.into_body();
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        while body.frame().await.is_some() {}
        drop(body);
        // Taken from the body, and not written yet.
        assert!(shell.budget.taken_bytes() >= counted, "{path}");
        assert!(!piece.is_empty());
        drop(piece);
        assert_eq!(shell.budget.taken_bytes(), 0, "{path}");
    }
    let given_up = ask("/v1/large").await;
    drop(given_up);
    assert_eq!(shell.budget.taken_bytes(), 0);
}

#[tokio::test]
async fn what_finds_no_room_is_refused_and_another_org_is_not() {
    let shell = Shell::start().await;
    let (theirs, others) = (Some(shell.key.row.org), Some(pando_types::OrgId::new()));
    let app = |length: usize| format!(r#"{{"name":"a","git_url":"{}"}}"#, "x".repeat(length));
    assert_eq!(shell.ask("POST", "/v1/app", app(900_000)).await.0, 200);
    let room = BUDGET_BYTES / 2;
    // For a request and a little, but not for what a large body may become.
    let few = shell.budget.account(theirs).take(room - (1 << 20)).unwrap();
    assert_eq!(shell.ask("POST", "/v1/app", app(100)).await.0, 200);
    let unavailable = |field: Option<String>| (503, "unavailable".to_owned(), field);
    assert_eq!(shell.refused("POST", "/v1/app", app(900_000)).await, unavailable(None));
    assert_eq!(shell.refused("GET", "/v1/large", "").await, unavailable(None));
    let more = shell.budget.account(theirs).take((1 << 20) - (100 << 10)).unwrap();
    let request = Request::get("/v1/label").header("x-api-key", &shell.key.text);
    let response = shell.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    assert_eq!(said(response).await.0, 503);
    // Whoever gives no key, and whoever else has one, still finds room.
    assert_eq!(shell.ask("GET", "/healthz", "").await.0, 200);
    assert_eq!(shell.ask("POST", "/v1/webhooks/probe", "x").await.0, 200);
    assert!(shell.budget.account(others).take(room / 4).is_ok());
    assert_eq!(shell.budget.taken_bytes(), few.bytes() + more.bytes());
    drop((few, more));
    assert_eq!(shell.ask("GET", "/v1/label", "").await.0, 200);
}

#[tokio::test]
async fn a_route_for_websockets_names_what_it_wants() {
    let shell = Shell::start().await;
    let request = Request::get("/v1/socket").header("x-api-key", &shell.key.text);
    let response = shell.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(response.headers()[header::UPGRADE], "websocket");
    let (_, text) = said(response).await;
    assert!(text.contains("invalid_request") && text.contains("RFC 6455"), "{text}");
}

#[tokio::test]
async fn a_wrong_method_learns_the_right_ones() {
    let shell = Shell::start().await;
    let request = Request::get("/v1/app").header("x-api-key", &shell.key.text);
    let response = shell.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[header::ALLOW], "POST");
    let (_, text) = said(response).await;
    assert!(text.contains("`/v1/app` does not take GET"), "{text}");
}

#[tokio::test]
async fn answers_are_counted_by_route_and_nothing_a_client_invents() {
    let shell = Shell::start().await;
    for path in ["/v1/label", "/v1/label", "/v1/invented-1", "/invented-2"] {
        shell.ask("GET", path, "").await;
    }
    shell.ask("INVENT", "/v1/label", "").await;
    let mut registry = Registry::default();
    shell.requests.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let counted = r#"http_requests_total{method="GET",route="/v1/label",status="200"} 2"#;
    assert!(text.contains(counted), "{text}");
    assert!(text.contains(r#"method="other""#), "{text}");
    assert!(!text.to_lowercase().contains("invent"), "{text}");
}

#[tokio::test]
async fn an_absent_body_is_an_empty_one_where_that_is_allowed() {
    let shell = Shell::start().await;
    assert_eq!(shell.ask("POST", "/v1/deploy", "").await.0, 200);
    let (_, text) = shell.ask("POST", "/v1/deploy", r#"{"git_ref":"main"}"#).await;
    assert!(text.contains("main"));
    assert_eq!(shell.ask("POST", "/v1/deploy", "[]").await.0, 400);
}

#[tokio::test]
async fn a_webhook_may_be_larger_than_other_bodies() {
    let shell = Shell::start().await;
    let size = limits::MAX_JSON_BODY_BYTES * 2;
    let (status, text) = shell.ask("POST", "/v1/webhooks/probe", vec![b'x'; size]).await;
    assert_eq!((status, text), (200, size.to_string()));
}

#[tokio::test]
async fn what_comes_later_says_so() {
    let shell = Shell::start().await;
    for (method, path) in
        [("GET", "/v1/functions"), ("POST", "/v1/schedules"), ("PATCH", "/v1/databases/x")]
    {
        let (status, code, _) = shell.refused(method, path, "").await;
        assert_eq!((status, code.as_str()), (501, "not_implemented"), "{method} {path}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let shell = Shell::start().await;
    let request = || Request::get("/v1/label").body(Body::empty()).unwrap();
    let first = shell.send(request()).await.headers()["x-request-id"].clone();
    let second = shell.send(request()).await.headers()["x-request-id"].clone();
    assert_ne!(first, second);
    assert_eq!(shell.send(request()).await.status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn the_real_routes_and_those_to_come_do_not_collide() {
    // axum panics on routes that overlap.
    let parts = parts();
    let _ = parts.keyed.merge(parts.signed).merge(parts.free);
}
