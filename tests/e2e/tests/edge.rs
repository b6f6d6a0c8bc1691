//! The edge into real guests.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use pando_e2e::{Options, Sandbox, Server, run};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A server that echoes bodies, streams events and shows the headers it got; on loopback only.
const SERVER_JS: &str = r#"
const http = require('http');
const crypto = require('crypto');
const server = http.createServer((request, response) => {
  if (request.url === '/echo') return request.pipe(response);
  if (request.url === '/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: first\n\n');
    return setTimeout(() => response.end('data: second\n\n'), 1500);
  }
  response.setHeader('X-Robots-Tag', 'all');
  response.end(JSON.stringify(request.headers));
});
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = crypto.createHash('sha1').update(key).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ' + accept + '\r\n\r\n');
  socket.on('data', (frame) => {
    const length = frame[1] & 127, mask = frame.subarray(2, 6), text = frame.subarray(6, 6 + length).map((byte, at) => byte ^ mask[at % 4]);
    socket.write(Buffer.concat([Buffer.from([129, length]), text]));
  });
});
server.listen(3000, process.argv[2]);
"#;

async fn serve<'a>(server: &'a Server, address: &str) -> anyhow::Result<Sandbox<'a>> {
    let sandbox = server.sandbox(json!({})).await?;
    server
        .request(Method::PUT, &sandbox.path("/fs?path=/srv/server.js"))
        .body(SERVER_JS)
        .send()
        .await?
        .error_for_status()?;
    sandbox.sh(&format!("setsid node /srv/server.js {address} >/tmp/log 2>&1 & echo")).await?;
    // The edge waits a little by itself; a slow host may need more.
    for _ in 0..60 {
        if sandbox.exec("curl -fso /dev/null http://localhost:3000/").await?.exit_code == 0 {
            return Ok(sandbox);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    anyhow::bail!("{}", sandbox.sh("cat /tmp/log").await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_on_loopback_gets_its_url() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let (four, six) = tokio::try_join!(serve(&server, "127.0.0.1"), serve(&server, "::1"))?;
    for sandbox in [&four, &six] {
        let page = server
            .edge(Method::GET, &sandbox.host(3000), "/")
            .header("X-Forwarded-For", "6.6.6.6")
            .header("Pando-Node", "spoofed")
            .send()
            .await?;
        assert_eq!(page.status(), 200);
        assert_eq!(page.headers()["x-robots-tag"], "noindex");
        let headers: Value = page.json().await?;
        assert_eq!(headers["host"], sandbox.host(3000));
        assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers.get("pando-node"), None);
        let ports: Value =
            server.request(Method::GET, &sandbox.path("/ports")).send().await?.json().await?;
        assert_eq!(ports["ports"][0]["port"], 3000, "{ports}");
    }

    // Large bodies both ways, event by event, WebSocket.
    let body = vec![b'x'; 20_000_000];
    let echoed =
        server.edge(Method::POST, &four.host(3000), "/echo").body(body.clone()).send().await?;
    assert_eq!(echoed.bytes().await?.len(), body.len());
    let mut events =
        server.edge(Method::GET, &four.host(3000), "/events").send().await?.bytes_stream();
    let first = events.next().await.transpose()?;
    assert_eq!(first.as_deref(), Some(b"data: first\n\n".as_slice()));
    let second = events.next().await.transpose()?;
    assert_eq!(second.as_deref(), Some(b"data: second\n\n".as_slice()));
    let mut request = server.url("/socket").replace("http", "ws").into_client_request()?;
    request.headers_mut().insert("host", four.host(3000).parse()?);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
    for text in ["hello", "again"] {
        socket.send(Message::text(text)).await?;
        assert_eq!(socket.next().await.transpose()?, Some(Message::text(text)));
    }
    // A name under localhost needs no DNS, for curl as for browsers.
    let page = run("curl", &["-fsS", &format!("http://{}/", four.host(3000))])?;
    assert!(page.contains("x-forwarded-host"));
    drop(socket);
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_has_its_own_answer() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let unknown = format!("3000-00000000-0000-4000-8000-000000000000.{}", server.suffix());
    let nobody = format!("no-such-app.{}", server.suffix());
    // The agent listens on 1023; it is no app, and as good as absent.
    let silent = [sandbox.host(3000), sandbox.host(1023)];
    let silent = silent.into_iter().map(|host| (host, 503));
    for (host, status) in [(unknown, 404), (nobody, 404)].into_iter().chain(silent) {
        let json = server
            .edge(Method::GET, &host, "/")
            .header("accept", "application/json")
            .send()
            .await?;
        assert_eq!(json.status().as_u16(), status, "{host}");
        assert_eq!(json.headers()["x-robots-tag"], "noindex");
        let said: Value = json.json().await?;
        assert!(said["error"].is_string() && said["code"].is_string(), "{said}");
        let html =
            server.edge(Method::GET, &host, "/").header("accept", "text/html").send().await?;
        assert!(html.text().await?.starts_with("<!doctype html>"));
    }
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_died_is_told_from_one_that_never_was() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = serve(&server, "127.0.0.1").await?;
    let said = async |port: u16| -> anyhow::Result<(u16, String)> {
        let answer = server.edge(Method::GET, &sandbox.host(port), "/").send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    };
    assert_eq!(said(3000).await?.0, 200);
    sandbox.sh("pkill node; while pgrep node; do sleep 0.1; done").await?;
    let (status, text) = said(3000).await?;
    assert!(status == 503 && text.contains("port 3000 any more"), "{status} {text}");
    let (status, text) = said(3001).await?;
    assert!(status == 503 && text.contains("port 3001 yet"), "{status} {text}");
    server.finish()
}
