//! Sandboxes that sleep: who wakes them, who waits, and what is lost by it (nothing).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Response;
use http_body_util::{BodyExt, Full};
use pando_edge::Limits;
use pando_types::SandboxId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{App, Asleep, Client2, Sleeper, Stand, answering, raw, within};
use crate::tunnels::{echo, open};

const BROWSER: &str = "accept: text/html,*/*;q=0.8\r\nsec-fetch-mode: navigate\r\n";

/// Says how long the body was and what it adds up to.
async fn adding() -> App {
    answering(|request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
        let text = Bytes::from(format!("{} {sum}", body.len()));
        Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync())
    })
    .await
}

fn asleep(stand: &Stand, sandbox: SandboxId) -> Arc<Sleeper> {
    stand.edge.close(sandbox);
    stand.world.put_to_sleep(sandbox)
}

fn wake(sleeper: &Sleeper) {
    sleeper.state.send_replace(Asleep::Woken);
}

/// Waits until so many asked for it to be woken.
async fn asked(sleeper: &Sleeper, count: usize) {
    within(async {
        while sleeper.asked.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn requests_are_held_until_it_is_awake() {
    let app = adding().await;
    let stand = Stand::new().await;
    let (sandbox, host) = stand.sandbox(&app);
    let sleeper = asleep(&stand, sandbox);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (mut wire, host) = (stand.connect().await, host.clone());
        waiting.spawn(async move { wire.get(&host, "/", "").await });
    }
    asked(&sleeper, 100).await;
    assert_eq!((stand.world.connects(), stand.edge.under_way(sandbox)), (0, 100));
    wake(&sleeper);
    while let Some(answer) = within(waiting.join_next()).await {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.text()), (200, "0 0"));
    }
}

#[tokio::test]
async fn a_body_is_held_by_its_client_and_arrives_whole() {
    let app = adding().await;
    let stand = Stand::new().await;
    let (sandbox, host) = stand.sandbox(&app);
    let sleeper = asleep(&stand, sandbox);
    let body = Bytes::from(vec![7; 5 << 20]);
    let sum = format!("{} {}", body.len(), 7 * body.len());

    let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n", body.len());
    let (mut polite, mut eager) = (stand.connect().await, stand.connect().await);
    polite.send(format!("{head}expect: 100-continue\r\n\r\n")).await;
    let sent = tokio::spawn({
        let body = body.clone();
        async move {
            eager.send(format!("{head}\r\n")).await;
            eager.send(&body).await;
            eager.answer().await
        }
    });
    let mut client = Client2::connect(&stand).await;
    let posted = tokio::spawn({
        let (request, body) = (client.get(&host, "/").method("POST"), body.clone());
        async move { client.send(request, body).await }
    });
    asked(&sleeper, 3).await;
    // Nobody is told to go on before the app is there.
    let early = tokio::time::timeout(Duration::from_millis(100), polite.stream.readable()).await;
    assert!(early.is_err());
    wake(&sleeper);
    assert_eq!(polite.head().await.status, 100);
    polite.send(&body).await;
    assert_eq!(polite.answer().await.text(), sum);
    assert_eq!(within(sent).await.unwrap().text(), sum);
    assert_eq!(within(posted).await.unwrap().1, sum);
}

/// Breaks off the first `times` connections once a request came, and answers after that.
async fn breaking_off(times: usize) -> App {
    let came = Arc::new(AtomicUsize::new(0));
    raw(move |mut stream| {
        let came = Arc::clone(&came);
        async move {
            let _request = stream.read(&mut [0; 4096]).await;
            if came.fetch_add(1, Ordering::SeqCst) >= times {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                let _unread = stream.write_all(answer).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_request_that_woke_its_app_is_sent_twice_if_it_may_be_and_no_other() {
    for (verb, sleeps, breaks, status) in [
        ("GET", true, 1, 200),
        ("GET", true, 2, 502),
        ("GET", false, 1, 502),
        ("POST", true, 1, 502),
    ] {
        let app = breaking_off(breaks).await;
        let stand = Stand::new().await;
        let (sandbox, host) = stand.sandbox(&app);
        let sleeper = sleeps.then(|| asleep(&stand, sandbox));
        let mut wire = stand.connect().await;
        wire.send(format!("{verb} / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n")).await;
        if let Some(sleeper) = sleeper {
            asked(&sleeper, 1).await;
            wake(&sleeper);
        }
        assert_eq!(wire.answer().await.status, status, "{verb}, {sleeps}, {breaks}");
    }
}

#[tokio::test]
async fn a_websocket_is_held_until_it_is_awake() {
    let app = echo().await;
    let stand = Stand::new().await;
    let (sandbox, host) = stand.sandbox(&app);
    let sleeper = asleep(&stand, sandbox);
    let waker = async {
        asked(&sleeper, 1).await;
        wake(&sleeper);
    };
    let (mut socket, ()) = tokio::join!(open(&stand, &host), waker);
    within(socket.send(Message::text("hello"))).await.unwrap();
    assert_eq!(within(socket.next()).await.unwrap().unwrap(), Message::text("hello"));
}

#[tokio::test]
async fn a_browser_is_shown_a_page_and_a_program_waits_on() {
    let app = adding().await;
    let limits = Limits { wait_page_after: Duration::from_millis(50), ..Limits::default() };
    let stand = Stand::with(limits).await;
    let (sandbox, host) = stand.sandbox(&app);
    let sleeper = asleep(&stand, sandbox);
    let mut wire = stand.connect().await;
    let page = wire.get(&host, "/", BROWSER).await;
    assert_eq!((page.status, page.header("refresh")), (503, Some("1")));
    assert!(page.text().contains("is waking up"), "{}", page.text());
    assert_eq!(page.header("x-robots-tag"), Some("noindex"));

    let mut other = stand.connect().await;
    let fetch = tokio::spawn({
        let host = host.clone();
        async move { other.get(&host, "/", "accept: text/html\r\nsec-fetch-mode: cors\r\n").await }
    });
    asked(&sleeper, 2).await;
    tokio::time::sleep(2 * limits.wait_page_after).await;
    wake(&sleeper);
    assert_eq!(within(fetch).await.unwrap().status, 200);
    assert_eq!(wire.get(&host, "/", BROWSER).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_woken_says_so() {
    let app = adding().await;
    let stand = Stand::with(Limits { wake: Duration::from_millis(50), ..Limits::default() }).await;
    let (sandbox, host) = stand.sandbox(&app);
    let sleeper = asleep(&stand, sandbox);
    let mut wire = stand.connect().await;
    // Not in time, then not at all.
    for state in [Asleep::Fast, Asleep::Never] {
        sleeper.state.send_replace(state);
        let answer = wire.get(&host, "/", "").await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
        assert_eq!(answer.json()["code"], "unavailable");
        assert!(answer.text().contains("could not be woken"), "{}", answer.text());
    }
}

#[tokio::test]
async fn what_is_under_way_ends_before_the_sleep_and_what_comes_waits_for_the_wake() {
    let (begun, mut begins) = tokio::sync::mpsc::channel(2);
    let app = answering(move |request| {
        let begun = begun.clone();
        async move {
            begun.send(()).await.unwrap();
            Response::new(request.into_body().boxed_unsync())
        }
    })
    .await;
    let stand = Stand::new().await;
    let (sandbox, host) = stand.sandbox(&app);
    let mut wire = stand.connect().await;
    wire.send(format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 4\r\n\r\n")).await;
    within(begins.recv()).await.unwrap();
    let sleeper = asleep(&stand, sandbox);
    let clear = stand.edge.clear(sandbox, Duration::from_secs(60));
    tokio::pin!(clear);
    assert!(futures_util::poll!(&mut clear).is_pending());
    let mut later = stand.connect().await;
    later.send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    asked(&sleeper, 1).await;
    wire.send("last").await;
    assert_eq!(wire.answer().await.text(), "last");
    within(clear).await;
    wake(&sleeper);
    assert_eq!(later.answer().await.status, 200);
}

#[tokio::test]
async fn many_sleeps_fail_no_request() {
    const ROUNDS: u64 = 300;
    let app = adding().await;
    let stand = Stand::new().await;
    let (sandbox, host) = stand.sandbox(&app);
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (mut wire, host, done) = (stand.connect().await, host.clone(), Arc::clone(&done));
        clients.spawn(async move {
            let mut answers = 0;
            while !done.load(Ordering::SeqCst) {
                if number % 2 == 0 {
                    assert_eq!(wire.get(&host, "/", "").await.text(), "0 0");
                } else {
                    let head = format!("POST / HTTP/1.1\r\nhost: {host}\r\n");
                    wire.send(format!("{head}content-length: 3\r\n\r\nabc")).await;
                    assert_eq!(wire.answer().await.text(), "3 294");
                }
                answers += 1;
            }
            answers
        });
    }
    for round in 0..ROUNDS {
        // As the node does: it falls asleep, the way in is closed, it sleeps, it wakes.
        let sleeper = stand.world.put_to_sleep(sandbox);
        stand.edge.close(sandbox);
        within(stand.edge.clear(sandbox, Duration::from_secs(60))).await;
        wake(&sleeper);
        // Some rounds are too short for any request, some are not.
        tokio::time::sleep(Duration::from_millis(round % 4)).await;
    }
    done.store(true, Ordering::SeqCst);
    while let Some(answers) = within(clients.join_next()).await {
        assert!(answers.unwrap() > 0);
    }
}

#[tokio::test]
async fn who_only_looks_wakes_nothing_and_is_no_use() {
    let app = adding().await;
    let stand = Stand::new().await;
    let (sandbox, host) = stand.sandbox(&app);
    let sleeper = asleep(&stand, sandbox);
    let unfurler = "user-agent: Slackbot-LinkExpanding 1.0\r\n";
    let mut wire = stand.connect().await;
    let page = wire.get(&host, "/", unfurler).await;
    assert_eq!((page.status, page.header("x-robots-tag")), (200, Some("noindex")));
    assert!(page.text().contains("sleeps"), "{}", page.text());
    wire.send(format!("HEAD / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    assert_eq!(wire.head().await.status, 200);
    assert_eq!((sleeper.asked.load(Ordering::SeqCst), stand.world.connects()), (0, 0));

    wake(&sleeper);
    assert_eq!(wire.get(&host, "/", unfurler).await.text(), "0 0");
    assert!(!stand.edge.was_used(sandbox));
    assert_eq!(wire.get(&host, "/", "").await.text(), "0 0");
    within(async {
        while stand.world.uses(sandbox) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
