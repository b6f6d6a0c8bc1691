//! A browser: a page whose script fetches, uploads, listens to events, and speaks
//! over a WebSocket, and then reports to the app what came of it.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::{Running, full, generous, run};
use crate::support::{App, Stand, answering, within};
use crate::tunnels::echo;

const PAGE: &str = include_str!("page.html");

/// Serves the page and what its script asks for; what it reports goes to `reports`.
async fn site(reports: mpsc::Sender<String>) -> App {
    answering(move |request: Request<Incoming>| {
        let reports = reports.clone();
        async move {
            let (parts, body) = request.into_parts();
            let html = |text: &'static str| {
                Response::builder().header("content-type", "text/html").body(full(text)).unwrap()
            };
            match parts.uri.path() {
                "/" => html(PAGE),
                "/back" => Response::new(full(body.collect().await.unwrap().to_bytes())),
                "/events" => {
                    // Ends after two: the browser asks again, and says where it was.
                    let last = parts.headers.get("last-event-id").cloned();
                    let from = last.map_or(0, |id| id.to_str().unwrap().parse().unwrap());
                    let events = stream::iter(from..from + 2).map(|count: u32| {
                        let event = format!("retry: 10\nid: {}\ndata: {count}\n\n", count + 1);
                        Ok(Frame::data(Bytes::from(event)))
                    });
                    Response::builder()
                        .header("content-type", "text/event-stream")
                        .body(StreamBody::new(events).boxed_unsync())
                        .unwrap()
                }
                "/report" => {
                    let report = body.collect().await.unwrap().to_bytes();
                    let report = String::from_utf8(report.into()).unwrap();
                    reports.send(report).await.unwrap();
                    Response::builder().status(204).body(full("")).unwrap()
                }
                _ => Response::builder().status(404).body(full("nothing here")).unwrap(),
            }
        }
    })
    .await
}

/// Set where this test runs without links that come and go.
const ALONE: &str = "PANDO_EDGE_TEST_ALONE";

/// Runs this test anew in a network namespace of its own. A browser gives up what is
/// under way whenever a link of the machine comes or goes, as they do in tests of
/// other crates.
async fn alone() {
    let rights = if rustix::process::geteuid().is_root() { "--net" } else { "-rn" };
    let script = format!("ip link set lo up && exec env {ALONE}=1 \"$0\" \"$@\"");
    let program = std::env::current_exe().unwrap();
    let test = "interop::browser::a_page_fetches_listens_and_speaks";
    let arguments = [rights, "sh", "-c", &script, program.to_str().unwrap(), "--exact", test];
    let said = run("unshare", &arguments, b"").await.stdout;
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn a_page_fetches_listens_and_speaks() {
    if std::env::var_os(ALONE).is_none() {
        return alone().await;
    }
    let (reports, mut reported) = mpsc::channel(1);
    let (page, sockets) = (site(reports).await, echo().await);
    let stand = Stand::with(generous()).await;
    let (sandbox, host) = stand.sandbox(&page);
    stand.world.reach(sandbox, 3001, crate::support::Reach::At(sockets.address));
    let url = format!("http://{}/", host.replace(":7070", &format!(":{}", stand.address.port())));
    let profile = tempfile::tempdir().unwrap();
    let folder = format!("--user-data-dir={}", profile.path().display());
    let _browser = Running::start(
        "chromium",
        &[
            "--headless=new",
            // As root, which CI may be, its own sandbox does not start.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--no-proxy-server",
            "--remote-debugging-port=0",
            // Names under `localhost` are this machine, without asking anybody.
            "--host-resolver-rules=MAP *.localhost 127.0.0.1",
            &folder,
            &url,
        ],
    );
    let report: serde_json::Value =
        serde_json::from_str(&within(reported.recv()).await.unwrap()).unwrap();
    assert_eq!(
        report,
        serde_json::json!({
            "upload": "1048576 bytes back",
            "many": "40 answers",
            "missing": "404 noindex",
            "events": "0,1,2,3",
            "socket": "hello,1048576 characters,closed 1000",
        })
    );
}
