//! HTTP/2 by clients that break its rules, or keep them and mean no good.

use std::time::Duration;

use bytes::Bytes;
use pando_edge::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, INITIAL_WINDOW_SIZE, Outcome,
    PING, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
};
use crate::support::{App, Client2, Stand, raw, within};

const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;
/// More than the sockets' buffers hold.
const MUCH: usize = 64 * 1024 * 1024;

/// Says whatever it was sent, once the edge has closed.
async fn recorder() -> (App, mpsc::Receiver<String>) {
    let (heard, hears) = mpsc::channel(16);
    let app = raw(move |mut stream| {
        let heard = heard.clone();
        async move {
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            heard.send(String::from_utf8(said).unwrap()).await.unwrap();
        }
    })
    .await;
    (app, hears)
}

/// An answer without end; tells when nobody takes it any more.
async fn endless() -> (App, mpsc::Receiver<()>) {
    let (left, leaves) = mpsc::channel(16);
    let app = raw(move |mut stream| {
        let left = left.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
            left.send(()).await.unwrap();
        }
    })
    .await;
    (app, leaves)
}

fn get(host: &str) -> Vec<(&str, &str)> {
    vec![(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", "/")]
}

/// Others are served as ever.
async fn is_well(stand: &Stand) {
    let mut client = Client2::connect(stand).await;
    let request = client.get("localhost", "/v1/me");
    assert_eq!(client.send(request, Bytes::new()).await.1, "the API at /v1/me");
}

#[tokio::test]
async fn a_malformed_head_reaches_nobody() {
    let (app, _hears) = recorder().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let more = |name, value| [get(&host), vec![(name, value)]].concat();
    let with = |at: usize, value| {
        let mut lines = get(&host);
        lines[at].1 = value;
        lines
    };
    let without = |at: usize| {
        let mut lines = get(&host);
        lines.remove(at);
        lines
    };
    for lines in [
        // What is of one connection, and HTTP/1.1's framing.
        more("connection", "close"),
        more("connection", "x-forwarded-for"),
        more("keep-alive", "timeout=5"),
        more("proxy-connection", "close"),
        more("transfer-encoding", "chunked"),
        more("upgrade", "h2c"),
        more("te", "gzip"),
        // Names and values that would be more than one line in HTTP/1.1.
        more("X-Upper", "1"),
        more("", "1"),
        more("x y", "1"),
        more("x:", "1"),
        more("x: y\r\nz", "1"),
        more("x", "a\r\ncontent-length: 5"),
        more("x", "a\nb"),
        more("x", "a\rb"),
        more("x", "a\0b"),
        with(0, "GET / HTTP/1.1\r\nx:"),
        with(0, "G T"),
        with(0, ""),
        with(2, "a b"),
        with(2, "a\r\nx: y"),
        with(2, "other.preview.localhost@"),
        with(3, ""),
        with(3, "no-slash"),
        with(3, "/ HTTP/1.1\r\nx: y"),
        with(3, "/a b"),
        with(3, "/\0"),
        // Pseudo-headers: each once, all before the others, no unknown one.
        without(0),
        without(2),
        without(3),
        more(":path", "/other"),
        more(":authority", "other"),
        more(":status", "200"),
        more(":x", "y"),
        [vec![("x", "y")], get(&host)].concat(),
        // Lengths that do not belong to what follows, which is nothing.
        more("content-length", "5"),
        more("content-length", "-1"),
        more("content-length", "0, 0"),
        more("content-length", "x"),
        [more("content-length", "0"), vec![("content-length", "0")]].concat(),
        // Two hosts.
        more("host", "other.preview.localhost"),
    ] {
        let mut client = Frames::connect(&stand, &[]).await;
        client.headers(1, END_STREAM, &lines).await;
        let outcome = client.outcome(1).await;
        let refused =
            [Outcome::Answer(400), Outcome::Reset(PROTOCOL_ERROR), Outcome::GoAway(PROTOCOL_ERROR)];
        assert!(refused.contains(&outcome), "{lines:?}: {outcome:?}");
    }
    assert_eq!(stand.world.connects(), 0, "a malformed request reached an app");
    is_well(&stand).await;
}

#[tokio::test]
async fn a_body_is_as_long_as_it_says_or_no_body() {
    let (app, mut hears) = recorder().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    for (lengths, body) in [
        (&["5"][..], "abc"),
        (&["5"], "abcdefghi"),
        (&["5", "3"], "abc"),
        (&["3", "3"], "abc"),
        (&["+3"], "abc"),
    ] {
        let mut client = Frames::connect(&stand, &[]).await;
        let mut lines = get(&host);
        lines[0].1 = "POST";
        lines.extend(lengths.iter().map(|length| ("content-length", *length)));
        let before = stand.world.connects();
        client.headers(1, 0, &lines).await;
        client.bytes(&frame(DATA, END_STREAM, 1, body.as_bytes())).await.unwrap();
        let outcome = client.outcome(1).await;
        let refused = [Outcome::Answer(400), Outcome::Reset(PROTOCOL_ERROR)];
        assert!(refused.contains(&outcome), "{lengths:?} {body}: {outcome:?}");
        drop(client);
        if stand.world.connects() > before {
            // The app saw that something is missing.
            let said = within(hears.recv()).await.unwrap();
            let (_, body) = said.split_once("\r\n\r\n").unwrap_or_default();
            assert!(said.is_empty() || said.contains("content-length: 5\r\n"), "{said}");
            assert!(body.len() < 5, "{said}");
        }
    }
    is_well(&stand).await;
}

#[tokio::test]
async fn broken_frames_end_their_connection() {
    let stand = Stand::new().await;
    let head = block(&get("localhost"));
    for bytes in [
        frame(DATA, 0, 0, b"x"),
        frame(DATA, 0, 1, b"x"),
        frame(HEADERS, END_HEADERS | END_STREAM, 2, &head),
        frame(HEADERS, END_HEADERS | END_STREAM, 0, &head),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 20]),
        frame(CONTINUATION, END_HEADERS, 1, &head),
        frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2], &head[..]].concat()),
        frame(SETTINGS, 0, 0, &[0; 5]),
        frame(SETTINGS, 0, 1, &[]),
        frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]),
        frame(PING, 0, 0, &[0; 7]),
        frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
        frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        frame(RST_STREAM, 0, 1, &[0; 4]),
        frame(DATA, 0, 1, &[0; 1 << 20]),
        // Another frame amid a head.
        [frame(HEADERS, END_STREAM, 1, &head), frame(PING, 0, 0, &[0; 8])].concat(),
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
    ] {
        let mut client = Frames::connect(&stand, &[]).await;
        let _ = client.bytes(&bytes).await;
        let outcome = client.outcome(1).await;
        let shown = &bytes[..bytes.len().min(20)];
        assert!(matches!(outcome, Outcome::GoAway(_)), "{shown:?}: {outcome:?}");
        while client.next().await.is_some() {}
    }
    is_well(&stand).await;
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let stand = Stand::new().await;
    for piece in [vec![], vec![0], block(&[("x", &"y".repeat(100))]).repeat(100)] {
        let mut client = Frames::connect(&stand, &[]).await;
        client.bytes(&frame(HEADERS, END_STREAM, 1, &block(&get("localhost")))).await.unwrap();
        let _ = client.bytes(&frame(CONTINUATION, 0, 1, &piece).repeat(1000)).await;
        let outcome = client.outcome(1).await;
        assert!(matches!(outcome, Outcome::GoAway(_)), "{} bytes: {outcome:?}", piece.len());
        while client.next().await.is_some() {}
    }
    is_well(&stand).await;
}

#[tokio::test]
async fn requests_that_are_reset_at_once_end_the_connection() {
    let (app, _hears) = recorder().await;
    let stand = Stand::new().await;
    let (_, host) = stand.sandbox(&app);
    let mut client = Frames::connect(&stand, &[]).await;
    let head = block(&get(&host));
    let mut burst = Vec::new();
    for count in 0..10_000 {
        let stream = 2 * count + 1;
        burst.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
        burst.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    let _ = client.bytes(&burst).await;
    let outcome = client.outcome(u32::MAX).await;
    assert_eq!(outcome, Outcome::GoAway(ENHANCE_YOUR_CALM));
    assert!(stand.world.connects() < 1000, "{} reached the app", stand.world.connects());
    is_well(&stand).await;
}

#[tokio::test]
async fn who_asks_for_replies_and_reads_none_is_given_up() {
    let stand =
        Stand::with(Limits { write_stall: Duration::from_millis(200), ..Limits::default() }).await;
    for flood in [frame(SETTINGS, 0, 0, &[]), frame(PING, 0, 0, &[7; 8])] {
        let mut client = Frames::connect(&stand, &[]).await;
        let flood = flood.repeat(1000);
        // Each write ends with the edge's giving up, if nothing else.
        let mut sent = 0;
        while sent < MUCH && client.bytes(&flood).await.is_ok() {
            sent += flood.len();
        }
        assert!(sent < MUCH, "the flood is taken without end");
    }
    is_well(&stand).await;
}

#[tokio::test]
async fn who_opens_no_window_is_given_up_and_its_app_let_go() {
    let (app, mut leaves) = endless().await;
    let stand =
        Stand::with(Limits { write_stall: Duration::from_millis(200), ..Limits::default() }).await;
    let (_, host) = stand.sandbox(&app);
    let mut client = Frames::connect(&stand, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for stream in [1, 3, 5] {
        client.headers(stream, END_STREAM, &get(&host)).await;
        assert_eq!(client.outcome(stream).await, Outcome::Answer(200));
    }
    for _ in 0..3 {
        within(leaves.recv()).await.unwrap();
    }
    for stream in [1, 3, 5] {
        assert!(matches!(client.outcome(stream).await, Outcome::Reset(_)));
    }
    // The connection itself was kept lively, and serves on.
    client.settings(&[(INITIAL_WINDOW_SIZE, 65_535)]).await;
    client.headers(7, END_STREAM, &get("localhost")).await;
    assert_eq!(client.outcome(7).await, Outcome::Answer(200));
}

#[tokio::test]
async fn a_connection_that_takes_nothing_more_ends() {
    let limits = Limits {
        write_stall: Duration::from_millis(200),
        keep_alive: Duration::from_millis(100),
        ..Limits::default()
    };
    let stand = Stand::with(limits).await;
    let mut client = Frames::connect(&stand, &[(INITIAL_WINDOW_SIZE, 1)]).await;
    client.headers(1, END_STREAM, &get("localhost")).await;
    assert_eq!(client.outcome(1).await, Outcome::Answer(200));
    while client.next().await.is_some() {}
}
