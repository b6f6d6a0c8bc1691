//! nghttp2's client, which shows frames.

use super::{Site, run};

#[tokio::test]
async fn nghttp_gets_posts_and_sees_trailers() {
    let site = Site::start().await;
    let authority = format!(":authority: {}", site.host);
    let url = |path: &str| format!("http://{}{path}", site.address());

    let page = url("/page");
    let printed = run("nghttp", &["-H", &authority, &page], b"").await;
    assert_eq!(printed.stdout.len(), 1024);

    let trailers = url("/trailers");
    let printed = run(
        "nghttp",
        &["-v", "-n", "--no-dep", "-H", &authority, "-H", "te: trailers", &trailers],
        b"",
    )
    .await;
    assert!(printed.stdout.contains("x-sum: 42"), "{}", printed.stdout);
    assert!(printed.stdout.contains("x-robots-tag: noindex"), "{}", printed.stdout);
    // What the server says it takes, RFC 8441's promise among it.
    assert!(
        printed.stdout.contains("SETTINGS_MAX_CONCURRENT_STREAMS(0x03):128"),
        "{}",
        printed.stdout
    );
    assert!(printed.stdout.contains("(0x08):1"), "{}", printed.stdout);

    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    std::fs::write(&body, vec![b'y'; 300_000]).unwrap();
    let (body, back) = (body.to_str().unwrap(), url("/back"));
    let arguments = [
        "-H",
        &authority,
        "-H",
        "trailer: x-sum",
        "--trailer",
        "x-sum: 7",
        "-v",
        "-d",
        body,
        &back,
    ];
    let printed = run("nghttp", &arguments, b"").await;
    assert!(printed.stdout.matches('y').count() >= 300_000);
    assert!(printed.stdout.contains("x-sum: 7"));
}

#[tokio::test]
async fn nghttp_asks_for_much_at_once() {
    let site = Site::start().await;
    let authority = format!(":authority: {}", site.host);
    let page = format!("http://{}/page", site.address());
    let printed = run("nghttp", &["-s", "-n", "-m", "100", "-H", &authority, &page], b"").await;
    let answers = printed.stdout.lines().filter(|line| line.contains(" 200 ")).count();
    assert_eq!(answers, 100, "{}", printed.stdout);
}
