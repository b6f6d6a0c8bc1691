//! What an app hears and what a client gets, header by header.

use http::Response;
use http_body_util::{BodyExt, Full};

use crate::support::{App, Stand, answering};

/// An app that answers with the head it got, one header a line.
async fn mirror() -> App {
    answering(|request| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap();
        let mut text = format!("{} {}\n", parts.method, parts.uri);
        for (name, value) in &parts.headers {
            text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
        }
        text.push_str(&format!("{} bytes", body.to_bytes().len()));
        let response = Response::builder()
            .header("x-robots-tag", "all")
            .header("pando-secret", "1")
            .header("x-pando-secret", "1")
            .header("keep-alive", "timeout=9")
            .header("connection", "x-private")
            .header("x-private", "1")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2");
        let body = Full::from(text).map_err(|never| match never {}).boxed_unsync();
        response.body(body).unwrap()
    })
    .await
}

#[tokio::test]
async fn an_app_is_told_who_asks_and_nothing_spoofed() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    let lines = "x-forwarded-for: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nforwarded: for=6.6.6.6\r\n\
                 x-real-ip: 6.6.6.6\r\nx-forwarded-proto: gopher\r\nx-forwarded-host: evil\r\n\
                 pando-caller: node\r\nX-Pando-Org: admin\r\nproxy-authorization: Basic x\r\n\
                 connection: x-mine, host\r\nx-mine: 1\r\nexpect: 100-continue\r\ncookie: kept=1\r\n";
    let answer = wire.get(&host, "/who", lines).await;
    let text = answer.text();
    let mut seen: Vec<&str> = text.lines().filter(|line| line.contains(": ")).collect();
    seen.sort_unstable();
    let host_line = format!("host: {host}");
    let forwarded_host = format!("x-forwarded-host: {host}");
    assert_eq!(
        seen,
        [
            "cookie: kept=1",
            &host_line,
            "x-forwarded-for: 127.0.0.1",
            &forwarded_host,
            "x-forwarded-proto: https",
            "x-real-ip: 127.0.0.1",
        ]
    );
}

#[tokio::test]
async fn a_client_gets_the_answer_and_nothing_of_the_connection() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let answer = stand.connect().await.get(&host, "/", "").await;
    assert_eq!(answer.header("x-robots-tag"), Some("noindex"));
    for name in ["pando-secret", "x-pando-secret", "keep-alive", "connection", "x-private"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie").count();
    assert_eq!(cookies, 2);
}

#[tokio::test]
async fn bodies_keep_their_framing() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    for (method, lines, body, framing) in [
        ("POST", "content-length: 5\r\n", "hello", "content-length: 5"),
        (
            "POST",
            "transfer-encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "transfer-encoding: chunked",
        ),
        (
            "GET",
            "transfer-encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "transfer-encoding: chunked",
        ),
        ("GET", "content-length: 5\r\n", "hello", "content-length: 5"),
    ] {
        wire.send(format!("{method} / HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n{body}")).await;
        let answer = wire.answer().await;
        assert!(answer.text().contains(framing), "{method} {lines}: {}", answer.text());
        assert!(answer.text().ends_with("5 bytes"), "{method} {lines}: {}", answer.text());
    }
}
