//! curl, over HTTP/1.0, HTTP/1.1 and HTTP/2.

use super::{Site, run};

const VERSIONS: [&str; 3] = ["--http1.0", "--http1.1", "--http2-prior-knowledge"];
const UPLOAD_BYTES: usize = 3 * 1024 * 1024;

/// curl's arguments before the URL: quiet, bounded, and by name to the edge.
fn arguments<'a>(resolve: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["-sS", "--max-time", "50", "--resolve", resolve], more].concat()
}

fn resolve(site: &Site) -> String {
    format!("{}:127.0.0.1", site.host)
}

#[tokio::test]
async fn curl_reads_what_there_is() {
    let site = Site::start().await;
    let resolve = resolve(&site);
    let shown = "%{http_version} %{response_code} %{size_download} %header{etag}";
    for version in VERSIONS {
        let get = |more: &[&str], path: &str| {
            let url = site.url(path);
            let more: Vec<String> = more.iter().map(|more| (*more).to_owned()).collect();
            let resolve = resolve.clone();
            async move {
                let more: Vec<&str> = more.iter().map(String::as_str).collect();
                let mut all = arguments(&resolve, &[version, "-o", "/dev/null", "-w", shown]);
                all.extend(more);
                all.push(&url);
                run("curl", &all, b"").await.stdout
            }
        };
        let spoken = match version {
            "--http2-prior-knowledge" => "2",
            "--http1.0" => "1",
            _ => "1.1",
        };
        assert_eq!(get(&[], "/page").await, format!("{spoken} 200 1024 "));
        assert_eq!(get(&["-I"], "/page").await, format!("{spoken} 200 0 "));
        assert_eq!(get(&[], "/empty").await, format!("{spoken} 204 0 "));
        assert_eq!(get(&[], "/unchanged").await, format!("{spoken} 200 1024 \"v1\""));
        let known = ["-H", "If-None-Match: \"v1\""];
        assert_eq!(get(&known, "/unchanged").await, format!("{spoken} 304 0 \"v1\""));
    }
}

#[tokio::test]
async fn curl_uploads_with_and_without_a_length() {
    let site = Site::start().await;
    let resolve = resolve(&site);
    let body: String = (0..UPLOAD_BYTES).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
    let url = site.url("/back");
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        // A large body asks first (Expect), and one from a pipe is chunked.
        for way in [["--data-binary", "@-"], ["-T", "-"]] {
            let mut all = arguments(&resolve, &[version, "-v"]);
            all.extend(way);
            all.push(&url);
            let printed = run("curl", &all, body.as_bytes()).await;
            assert!(printed.stdout == body, "{version} {way:?}: the body changed on its way");
            if version == "--http1.1" {
                assert!(printed.stderr.contains("100 Continue"), "{way:?}: {}", printed.stderr);
            }
        }
    }
}

/// Over HTTP/1.1 only: curl before 8.0 breaks its own HTTP/2 connection when it
/// takes it up again (curl/curl issue 10634), whoever serves it.
#[tokio::test]
async fn curl_keeps_its_connection() {
    let site = Site::start().await;
    let (resolve, url) = (resolve(&site), site.url("/page"));
    let mut all = arguments(&resolve, &["-w", "%{num_connects} "]);
    for _ in 0..3 {
        all.extend(["-o", "/dev/null", &url]);
    }
    assert_eq!(run("curl", &all, b"").await.stdout, "1 0 0 ");
}

#[tokio::test]
async fn curl_that_would_rather_speak_http2_is_answered_in_http1() {
    let site = Site::start().await;
    let (resolve, url) = (resolve(&site), site.url("/page"));
    let all = arguments(
        &resolve,
        &["--http2", "-o", "/dev/null", "-w", "%{http_version} %{response_code}", &url],
    );
    assert_eq!(run("curl", &all, b"").await.stdout, "1.1 200");
}

#[tokio::test]
async fn curl_shows_trailers() {
    let site = Site::start().await;
    let (resolve, url) = (resolve(&site), site.url("/trailers"));
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let all = arguments(&resolve, &[version, "-H", "TE: trailers", "-i", &url]);
        let all = if version == "--http1.1" {
            [&all[..], &["-H", "Connection: TE"]].concat()
        } else {
            all
        };
        let printed = run("curl", &all, b"").await;
        let (_, body) = printed.stdout.split_once("\r\n\r\n").unwrap();
        assert!(body.starts_with("body"), "{version}: {body}");
        assert!(body.contains("x-sum: 42"), "{version}: {body}");
    }
}
