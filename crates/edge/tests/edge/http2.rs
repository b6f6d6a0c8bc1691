//! HTTP/2 clients: the same apps, the same rules.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::ext::Protocol;
use pando_edge::Limits;
use pando_edge::limits::{MAX_HEADER_BYTES, MAX_HEADERS, MAX_URL_BYTES};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{App, Client2, Stand, answering, bodiless, raw, trailing, within};

/// Answers with the request as an HTTP/1.1 app sees it.
async fn mirror() -> App {
    answering(|request| async move {
        let (parts, body) = request.into_parts();
        let mut text = format!("{} {}\n", parts.method, parts.uri);
        for (name, value) in &parts.headers {
            text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
        }
        let collected = body.collect().await.unwrap();
        if let Some(trailers) = collected.trailers() {
            text.push_str(&format!("trailers {trailers:?}\n"));
        }
        text.push_str(&format!("{} bytes", collected.to_bytes().len()));
        let body = Full::from(text).map_err(|never| match never {}).boxed_unsync();
        Response::builder()
            .header("connection", "x-private")
            .header("x-private", "1")
            .body(body)
            .unwrap()
    })
    .await
}

#[tokio::test]
async fn an_app_sees_an_ordinary_request() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut client = Client2::connect(&stand).await;
    let request = client
        .get(&host, "/a?b=c")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .header("x-forwarded-for", "6.6.6.6");
    let (head, body) = client.send(request, Bytes::new()).await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["x-robots-tag"], "noindex");
    assert!(!head.headers().contains_key("x-private"));
    let mut lines: Vec<&str> = body.lines().collect();
    lines[1..].sort_unstable();
    let (host_line, forwarded) = (format!("host: {host}"), format!("x-forwarded-host: {host}"));
    assert_eq!(
        lines,
        [
            "GET /a?b=c",
            "0 bytes",
            "connection: te",
            "cookie: a=1; b=2",
            &host_line,
            "te: trailers",
            "x-forwarded-for: 127.0.0.1",
            &forwarded,
            "x-forwarded-proto: https",
            "x-real-ip: 127.0.0.1",
        ]
    );
    let request = Request::builder().method("POST").uri(format!("http://{host}/"));
    let (_, body) = client.send(request, Bytes::from("hello")).await;
    assert!(body.contains("content-length: 5") && body.ends_with("5 bytes"), "{body}");
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let client = Client2::connect(&stand).await;
    let all =
        (0..300).map(|count| {
            let mut client = client.clone();
            let request = client.get(&host, &format!("/{count}"));
            async move {
                client.send(request, Bytes::new()).await.1.starts_with(&format!("GET /{count}\n"))
            }
        });
    let good = futures_util::future::join_all(all).await;
    assert!(good.into_iter().all(|good| good));
    let mut client = client;
    let request = client.get("localhost:7070", "/v1/me");
    assert_eq!(client.send(request, Bytes::new()).await.1, "the API at /v1/me");
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let app = trailing().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut client = Client2::connect(&stand).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    let frames = [Ok(Frame::data(Bytes::from("a"))), Ok(Frame::trailers(trailers))];
    let request = Request::builder()
        .method("POST")
        .uri(format!("http://{host}/"))
        .header("te", "trailers")
        .header("trailer", "x-sum")
        .body(StreamBody::new(stream::iter(frames)).boxed_unsync())
        .unwrap();
    let answer = client.request(request).await.unwrap();
    let answer = within(answer.into_body().collect()).await.unwrap();
    let trailers = answer.trailers().unwrap();
    assert_eq!(trailers["x-sum"], "42");
    assert!(!trailers.contains_key("pando-x"));
}

#[tokio::test]
async fn answers_without_a_body_keep_their_headers() {
    let app = bodiless().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut client = Client2::connect(&stand).await;
    let request = Request::builder().method("HEAD").uri(format!("http://{host}/"));
    let (head, body) = client.send(request, Bytes::new()).await;
    assert_eq!((head.status(), body.as_str()), (StatusCode::OK, ""));
    assert_eq!(head.headers()["content-length"], "1234");
    for (path, status) in [("/304", 304), ("/204", 204)] {
        let request = client.get(&host, path);
        let (head, body) = client.send(request, Bytes::new()).await;
        assert_eq!((head.status().as_u16(), body.as_str()), (status, ""), "{path}");
    }
}

#[tokio::test]
async fn the_edge_refuses_in_a_stream_and_goes_on() {
    let app = mirror().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut client = Client2::connect(&stand).await;
    let long = "a".repeat(MAX_URL_BYTES);
    let large = "a".repeat(MAX_HEADER_BYTES);
    let mut many = client.get(&host, "/");
    for count in 0..=MAX_HEADERS {
        many = many.header(format!("x-{count}"), "1");
    }
    for (request, status) in [
        (client.get(&host, &format!("/{long}")), 414),
        (client.get(&host, "/").header("x-large", &large), 431),
        (many, 431),
        (client.get("nobody.preview.localhost", "/"), 404),
        (client.get(&host, "/").header("host", "other.preview.localhost"), 400),
        (client.get(&host, "/").header("expect", "200-ok"), 417),
        (Request::builder().method("CONNECT").uri(host.clone()), 400),
        (
            Request::builder()
                .method("CONNECT")
                .uri(format!("http://{host}/"))
                .extension(Protocol::from_static("connect-udp")),
            400,
        ),
    ] {
        let (head, body) = client.send(request, Bytes::new()).await;
        assert_eq!(head.status().as_u16(), status, "{body}");
        assert_eq!(head.headers()["x-robots-tag"], "noindex");
        assert!(!head.headers().contains_key("connection"));
    }
    let request = client.get(&host, "/");
    assert_eq!(client.send(request, Bytes::new()).await.0.status(), 200);
    // A megabyte of headers is not read at all.
    let mut client = Client2::connect(&stand).await;
    let request = client.get(&host, "/").header("x-large", "a".repeat(1024 * 1024));
    let answer = client.request(request.body(Client2::empty()).unwrap()).await;
    assert!(answer.as_ref().is_err() || answer.unwrap().status() == 431);
    let mut client = Client2::connect(&stand).await;
    let request = client.get(&host, "/");
    assert_eq!(client.send(request, Bytes::new()).await.0.status(), 200);
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_still_sends() {
    let app = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 64]).await;
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 9\r\n\r\ntoo large")
            .await
            .unwrap();
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut client = Client2::connect(&stand).await;
    let endless = stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![b'x'; 16 * 1024]))));
    let request = Request::builder()
        .method("POST")
        .uri(format!("http://{host}/"))
        .body(StreamBody::new(endless).boxed_unsync())
        .unwrap();
    let answer = client.request(request).await.unwrap();
    assert_eq!(answer.status(), 413);
    let body = within(answer.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(body, "too large");
    let request = client.get("localhost", "/after");
    assert_eq!(client.send(request, Bytes::new()).await.1, "the API at /after");
}

#[tokio::test]
async fn a_reset_request_is_given_up() {
    let (left, mut leaves) = tokio::sync::mpsc::channel(1);
    let app = raw(move |mut stream| {
        let left = left.clone();
        async move {
            while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
            left.send(()).await.unwrap();
        }
    })
    .await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut client = Client2::connect(&stand).await;
    let request = client.get(&host, "/").body(Client2::empty()).unwrap();
    {
        let answer = client.request(request);
        tokio::pin!(answer);
        while stand.world.connects() == 0 {
            tokio::select! {
                _ = &mut answer => panic!("there is no answer"),
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        }
    }
    within(leaves.recv()).await.unwrap();
}

#[tokio::test]
async fn a_stopping_server_says_so_and_answers_what_is_under_way() {
    let (go, gate) = tokio::sync::watch::channel(false);
    let app = raw(move |mut stream| {
        let mut gate = gate.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            gate.wait_for(|open| *open).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate").await.unwrap();
        }
    })
    .await;
    let mut stand =
        Stand::with(Limits { drain: Duration::from_secs(600), ..Limits::default() }).await;
    let (_, host) = stand.sandbox(&app);
    let client = Client2::connect(&stand).await;
    let mut waiting = client.clone();
    let request = waiting.get(&host, "/");
    let waiting = tokio::spawn(async move { waiting.send(request, Bytes::new()).await.1 });
    while stand.world.connects() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stand.stop();
    // The connection takes no more requests, which the client knows from the edge.
    let mut later = client.clone();
    loop {
        let request = later.get("localhost", "/").body(Client2::empty()).unwrap();
        if later.request(request).await.is_err() {
            break;
        }
    }
    go.send(true).unwrap();
    assert_eq!(within(waiting).await.unwrap(), "late");
    drop((client, later));
    stand.stopped().await;
}

#[tokio::test]
async fn an_unused_connection_ends() {
    let stand =
        Stand::with(Limits { keep_alive: Duration::from_millis(100), ..Limits::default() }).await;
    let mut client = Client2::connect(&stand).await;
    let request = client.get("localhost", "/");
    assert_eq!(client.send(request, Bytes::new()).await.0.status(), 200);
    within(client.ended()).await;
}
