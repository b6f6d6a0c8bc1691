//! One listener: which host goes where, and what is no host at all.

use http_body_util::{BodyExt, Full};

use pando_edge::{HostLabel, Resolution};

use crate::support::{Stand, answering};

async fn stand_with_app() -> (Stand, crate::support::App, String) {
    let app = answering(|request| async move {
        let path = request.uri().to_string();
        http::Response::new(Full::from(path).map_err(|never| match never {}).boxed_unsync())
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    (stand, app, host)
}

#[tokio::test]
async fn hosts_part_api_and_previews_on_one_connection() {
    let (stand, _app, host) = stand_with_app().await;
    let mut wire = stand.connect().await;
    for other in ["localhost:7070", "127.0.0.1", "preview.localhost:7070", "example.com"] {
        let answer = wire.get(other, "/v1/me", "").await;
        assert_eq!(answer.text(), "the API at /v1/me", "{other}");
        assert_eq!(answer.header("x-robots-tag"), None);
    }
    assert_eq!(wire.get(&host, "/a?b=c", "").await.text(), "/a?b=c");
    assert_eq!(wire.get(&host.to_uppercase(), "/", "").await.text(), "/");
    let elsewhere = host.replace(":7070", ":80");
    assert_eq!(wire.get(&elsewhere, "/", "").await.text(), "/");
}

#[tokio::test]
async fn a_domain_leads_to_its_app_and_search_engines_may_know_it() {
    let (stand, app, host) = stand_with_app().await;
    let (sandbox, _) = stand.sandbox(&app);
    let shop = HostLabel::Domain("shop.example.com".into());
    stand.world.resolve_to(shop.clone(), Resolution::Found { sandbox, port: 3000 });
    let mut wire = stand.connect().await;
    for name in ["shop.example.com", "Shop.Example.COM:7070", "shop.example.com.:80"] {
        let answer = wire.get(name, "/v1/me", "").await;
        assert_eq!((answer.text(), answer.header("x-robots-tag")), ("/v1/me", None), "{name}");
    }
    for other in ["a.shop.example.com", "example.com", "shop.example.com.evil.com"] {
        assert_eq!(wire.get(other, "/", "").await.text(), "the API at /", "{other}");
    }
    assert_eq!(wire.get(&host, "/", "").await.header("x-robots-tag"), Some("noindex"));
    // Until its next request, and no longer.
    stand.world.resolve_to(shop, Resolution::NotLive);
    let answer = wire.get("shop.example.com", "/", "").await;
    assert_eq!((answer.status, answer.header("x-robots-tag")), (503, Some("noindex")));
}

#[tokio::test]
async fn an_absolute_target_reaches_the_app_as_a_path() {
    let (stand, _app, host) = stand_with_app().await;
    let mut wire = stand.connect().await;
    let answer = wire.get(&host, &format!("http://{host}/x?y"), "").await;
    assert_eq!(answer.text(), "/x?y");
    let answer = wire.get("localhost", &format!("http://{host}/x?y"), "").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    let (stand, _app, host) = stand_with_app().await;
    for lines in ["", "host: \r\n", &format!("host: {host}\r\nhost: {host}\r\n"), "host: a b\r\n"] {
        let mut wire = stand.connect().await;
        wire.send(format!("GET / HTTP/1.1\r\n{lines}\r\n")).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 400, "{lines}");
        assert_eq!(answer.json()["code"], "invalid_request");
        assert_eq!(answer.json()["field"], "Host");
    }
}

#[tokio::test]
async fn connect_is_not_served() {
    let (stand, _app, host) = stand_with_app().await;
    let mut wire = stand.connect().await;
    wire.send(format!("CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    assert_eq!(wire.answer().await.status, 400);
}
