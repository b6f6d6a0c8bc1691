//! The edge's own answers: each cause its own, for browsers and for programs.

use std::time::Duration;

use pando_edge::{ConnectError, HostLabel, Limits, Resolution};
use pando_types::SandboxId;
use tokio::io::AsyncReadExt;

use crate::support::{Reach, Stand, raw};

const BROWSER: &str = "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

fn impatient() -> Limits {
    Limits {
        listen_wait: Duration::from_millis(200),
        connect: Duration::from_millis(200),
        first_byte: Duration::from_millis(500),
        ..Limits::default()
    }
}

#[tokio::test]
async fn each_cause_has_its_answer() {
    let stand = Stand::with(impatient()).await;
    let broken = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    let silent = raw(|mut stream| async move {
        while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let sandbox = SandboxId::new();
    let failed = || ConnectError::Failed(std::io::ErrorKind::NetworkUnreachable.into());
    stand.world.reach(sandbox, 1, Reach::Fails(|| ConnectError::Refused));
    stand.world.reach(sandbox, 2, Reach::Fails(failed));
    stand.world.reach(sandbox, 3, Reach::Fails(|| ConnectError::Timeout));
    stand.world.reach(sandbox, 4, Reach::Fails(|| ConnectError::Gone));
    stand.world.reach(sandbox, 5, Reach::Fails(|| ConnectError::NotRunning));
    stand.world.reach(sandbox, 6, Reach::Fails(|| ConnectError::NotFound));
    stand.world.reach(sandbox, 9, Reach::Fails(|| ConnectError::Stopped));
    stand.world.reach(sandbox, 7, Reach::At(broken.address));
    stand.world.reach(sandbox, 8, Reach::At(silent.address));
    stand.world.resolve_to(HostLabel::App("building".into()), Resolution::NotLive);
    stand.world.resolve_to(HostLabel::App("gone".into()), Resolution::Gone);

    let port = |port: u16| format!("{port}-{sandbox}");
    let cases = [
        (format!("3000-{}", SandboxId::new()), 404, "not_found", "no sandbox"),
        ("nobody".to_owned(), 404, "not_found", "no app"),
        ("a.b".to_owned(), 404, "not_found", "no preview"),
        ("gone".to_owned(), 410, "gone", "deleted or has expired"),
        ("building".to_owned(), 503, "unavailable", "no deployment"),
        (port(1), 503, "unavailable", "nothing listens on port 1 yet"),
        (port(2), 502, "guest_failed", "port 2 of the sandbox could not be reached"),
        (port(3), 504, "timeout", "port 3"),
        (port(4), 410, "gone", "deleted or has expired"),
        (port(5), 503, "unavailable", "not running"),
        (port(6), 404, "not_found", "no sandbox"),
        (port(7), 502, "guest_failed", "without a valid HTTP answer"),
        (port(9), 503, "unavailable", "nothing listens on port 9 any more"),
        (port(8), 504, "timeout", "did not begin to answer"),
    ];
    let mut wire = stand.connect().await;
    for (label, status, code, message) in cases {
        let host = format!("{label}.preview.localhost:7070");
        for accept in ["", "accept: application/json\r\n", "accept: */*\r\n"] {
            let answer = wire.get(&host, "/", accept).await;
            assert_eq!(answer.status, status, "{label}: {}", answer.text());
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.json()["code"], code, "{label}");
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(message), "{label}: {error}");
            assert_eq!(answer.header("x-robots-tag"), Some("noindex"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("retry-after").is_some(), status == 503, "{label}");
            assert_eq!(answer.header("refresh"), None);
        }
        let page = wire.get(&host, "/", BROWSER).await;
        assert_eq!(page.status, status, "{label}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("x-robots-tag"), Some("noindex"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
        assert!(page.text().starts_with("<!doctype html>") && page.text().contains(message));
        let waits = label == "building" || label == port(1) || label == port(9);
        assert_eq!(page.header("refresh").is_some(), waits, "{label}");
    }
}

#[tokio::test]
async fn a_post_gets_no_page_that_asks_again() {
    let stand = Stand::with(impatient()).await;
    stand.world.resolve_to(HostLabel::App("building".into()), Resolution::NotLive);
    let mut wire = stand.connect().await;
    let head = "POST / HTTP/1.1\r\nhost: building.preview.localhost\r\ncontent-length: 0\r\n";
    wire.send(format!("{head}{BROWSER}\r\n")).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("refresh"), None);
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn a_head_gets_the_headers_alone() {
    let stand = Stand::new().await;
    let mut wire = stand.connect().await;
    wire.send("HEAD / HTTP/1.1\r\nhost: nobody.preview.localhost\r\nconnection: close\r\n\r\n")
        .await;
    let answer = wire.head().await;
    assert_eq!(answer.status, 404);
    assert!(wire.rest().await.is_empty());
}

#[tokio::test]
async fn an_app_that_starts_to_listen_during_the_wait_is_answered() {
    let stand =
        Stand::with(Limits { listen_wait: Duration::from_secs(30), ..Limits::default() }).await;
    let sandbox = SandboxId::new();
    stand.world.reach(sandbox, 3000, Reach::Fails(|| ConnectError::Refused));
    let mut wire = stand.connect().await;
    let host = format!("3000-{sandbox}.preview.localhost");
    wire.send(format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n\r\nhi")).await;

    // The app starts only once the edge was refused more than once.
    while stand.world.connects() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let app = crate::support::answering(|request| async move {
        http::Response::new(http_body_util::BodyExt::boxed_unsync(request.into_body()))
    })
    .await;
    stand.world.reach(sandbox, 3000, Reach::At(app.address));
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.text()), (200, "hi"));
}
