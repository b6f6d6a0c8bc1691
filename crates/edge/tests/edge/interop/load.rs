//! Load generators: not how fast, but that nothing goes wrong under load.

use super::{Site, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2load_counts_no_failure() {
    let site = Site::start().await;
    let (url, connect) = (site.url("/page"), format!("--connect-to={}", site.address()));
    for protocol in [&["-m", "32"][..], &["--h1", "-m", "4"]] {
        let mut arguments = vec!["-n", "4000", "-c", "8", &connect];
        arguments.extend(protocol);
        arguments.push(&url);
        let printed = run("h2load", &arguments, b"").await.stdout;
        assert!(printed.contains("4000 succeeded, 0 failed, 0 errored, 0 timeout"), "{printed}");
        assert!(printed.contains("4000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrk_sees_no_error() {
    let site = Site::start().await;
    let (url, host) = (format!("http://{}/page", site.address()), format!("Host: {}", site.host));
    let arguments = ["-t", "2", "-c", "64", "-d", "2s", "--latency", "-H", &host, &url];
    let printed = run("wrk", &arguments, b"").await.stdout;
    let requests = printed.lines().find_map(|line| line.trim().split_once(" requests in "));
    assert!(requests.is_some_and(|(count, _)| count.parse::<u64>().unwrap() > 0), "{printed}");
    for wrong in ["Socket errors", "Non-2xx"] {
        assert!(!printed.contains(wrong), "{printed}");
    }
}
