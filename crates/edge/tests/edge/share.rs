//! A sandbox's share: so many requests lately, so many at once.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use pando_edge::Limits;

use crate::support::{App, Stand, answering, within};
use crate::tunnels::{echo, open};

/// Begins an answer that never ends.
async fn endless() -> App {
    answering(|_request| async {
        let first = stream::iter([Ok::<_, hyper::Error>(Frame::data("first".into()))]);
        Response::new(StreamBody::new(first.chain(stream::pending())).boxed_unsync())
    })
    .await
}

#[tokio::test]
async fn so_many_requests_are_under_way_and_no_more() {
    let (slow, sockets) = (endless().await, echo().await);
    let stand = Stand::with(Limits {
        app_requests_at_once: 2,
        half_closed: Duration::from_millis(50),
        ..Limits::default()
    })
    .await;
    let (_, host) = stand.sandbox(&slow);
    let (_, neighbour) = stand.sandbox(&sockets);
    let mut wires = Vec::new();
    for _ in 0..2 {
        let mut wire = stand.connect().await;
        wire.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        assert_eq!(wire.head().await.status, 200);
        wires.push(wire);
    }
    let mut wire = stand.connect().await;
    let refused = wire.get(&host, "/", "").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(refused.json()["code"], "over_quota");
    // The other port of the same sandbox is the same machine; a neighbour is not.
    let other_port = host.replacen("3000-", "3001-", 1);
    assert_eq!(wire.get(&other_port, "/", "").await.status, 429);

    // A tunnel is under way until it ends.
    let mut sockets = vec![open(&stand, &neighbour).await, open(&stand, &neighbour).await];
    assert_eq!(wire.get(&neighbour, "/", "").await.status, 429);
    within(sockets.pop().unwrap().close(None)).await.unwrap();
    drop(wires.pop());
    // The places are free once the edge has seen the ends.
    loop {
        wire.send(format!("HEAD / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        if wire.head().await.status == 200 {
            break;
        }
    }
}

#[tokio::test]
async fn so_many_requests_lately_and_no_more() {
    let app =
        answering(|request| async move { Response::new(request.into_body().boxed_unsync()) }).await;
    let stand = Stand::with(Limits {
        app_requests_per_sec: NonZeroU32::MIN,
        app_request_burst: NonZeroU32::new(5).unwrap(),
        ..Limits::default()
    })
    .await;
    let ((_, host), (_, neighbour)) = (stand.sandbox(&app), stand.sandbox(&app));
    let mut wire = stand.connect().await;
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(wire.get(&host, "/", "").await);
    }
    assert!(answers[..5].iter().all(|answer| answer.status == 200));
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.json()["code"], "over_quota");
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(wire.get(&neighbour, "/", "").await.status, 200);
}
