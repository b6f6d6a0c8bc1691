//! Requests that no client library would send, byte by byte: refused early, the
//! connection closed, and nothing made of them.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, ensure};
use pando_e2e::{Options, Server};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer, or the end of a connection, is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a refusal may cost at most: what a closing connection still drops, so that
/// the answer is not lost, and what is under way in buffers.
const MOST_SENT: usize = (256 + 32) << 20;

/// What came back, and how much was sent before it did.
struct Outcome {
    said: String,
    sent: usize,
}

impl Outcome {
    fn status(&self) -> Option<u16> {
        self.said.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }

    fn answers(&self) -> usize {
        self.said.matches("HTTP/1.1 ").count()
    }
}

/// Sends `head`, then `piece` for ever, until an answer comes; then reads until
/// the server closes the connection.
async fn send(server: &Server, head: &[u8], piece: &[u8]) -> anyhow::Result<Outcome> {
    let address = server.url("").replace("http://", "");
    let stream = TcpStream::connect(&address).await?;
    let (mut read, mut write) = stream.into_split();
    let sending = tokio::spawn({
        let (head, piece) = (head.to_vec(), piece.to_vec());
        async move {
            let mut sent = head.len();
            // A broken pipe is the answer's doing.
            let mut written = write.write_all(&head).await;
            while written.is_ok() && !piece.is_empty() {
                sent += piece.len();
                written = write.write_all(&piece).await;
            }
            // The sending half stays open: it is the server that must close.
            (write, sent)
        }
    });
    let mut said = Vec::new();
    let reading = async {
        let mut buffer = [0; 16 * 1024];
        loop {
            match read.read(&mut buffer).await {
                Ok(0) => return Ok(()),
                Ok(count) => said.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    };
    let closed = tokio::time::timeout(PATIENCE, reading).await;
    closed.context("the connection stays open")??;
    drop(read);
    let (_, sent) = tokio::time::timeout(PATIENCE, sending).await.context("it still reads")??;
    Ok(Outcome { said: String::from_utf8_lossy(&said).into_owned(), sent })
}

fn head(server: &Server, lines: &str) -> String {
    let key = server.api_key();
    format!("{lines}Host: api.localhost\r\nAuthorization: Bearer {key}\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_read() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let file = sandbox.path("/fs?path=/root/large");
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let plain = vec![b' '; 1 << 16];
    for (what, lines, piece, status) in [
        (
            "10 GB of JSON",
            "POST /v1/sandboxes HTTP/1.1\r\nContent-Length: 10737418240\r\n",
            &plain,
            413,
        ),
        (
            "chunks of JSON without end",
            "POST /v1/sandboxes HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
            &chunk,
            413,
        ),
        (
            "a file of 20 GB",
            &format!("PUT {file} HTTP/1.1\r\nContent-Length: 21474836480\r\n"),
            &plain,
            413,
        ),
        (
            "10 GB to nowhere",
            "POST /v1/nowhere HTTP/1.1\r\nContent-Length: 10737418240\r\n",
            &plain,
            404,
        ),
        (
            "10 GB of webhook",
            "POST /v1/webhooks/github HTTP/1.1\r\nContent-Length: 10737418240\r\n",
            &plain,
            413,
        ),
    ] {
        let outcome = send(&server, head(&server, lines).as_bytes(), piece).await.context(what)?;
        ensure!(outcome.status() == Some(status), "{what}: {}", outcome.said);
        ensure!(outcome.sent < MOST_SENT, "{what}: {} bytes were taken", outcome.sent);
    }
    // Who has no key is told so before anything of the body is read.
    let stranger =
        "POST /v1/sandboxes HTTP/1.1\r\nHost: api.localhost\r\nContent-Length: 10737418240\r\n\r\n";
    let outcome = send(&server, stranger.as_bytes(), &plain).await?;
    ensure!(outcome.status() == Some(401), "{}", outcome.said);
    ensure!(outcome.sent < MOST_SENT, "{} bytes were taken", outcome.sent);

    // A head of 1 MB, in one line and in many.
    let long = format!("GET /v1/me HTTP/1.1\r\nX-Long: {}\r\n", "x".repeat(1 << 20));
    let many = format!("GET /v1/me HTTP/1.1\r\n{}", "X-Many: x\r\n".repeat(100_000));
    for lines in [long, many] {
        let outcome = send(&server, head(&server, &lines).as_bytes(), b"").await?;
        ensure!(outcome.status() == Some(431), "{}", outcome.said);
    }

    ensure!(server.sandboxes().await?.len() == 1, "something was made of it");
    ensure!(sandbox.exec("test -e /root/large").await?.exit_code == 1);
    sandbox.delete().await?;
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_two_readers_would_read_differently_is_refused() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let inner = format!(
        "DELETE /v1/me/tokens/smuggled HTTP/1.1\r\nHost: api.localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        server.api_key()
    );
    let (length, chunks) = (inner.len(), format!("0\r\n\r\n{inner}"));
    let short = "Content-Length: 5\r\n";
    for (what, lines, body) in [
        ("two lengths", format!("{short}Content-Length: {length}\r\n"), inner.as_str()),
        ("two lengths in one line", format!("Content-Length: 5, {length}\r\n"), &inner),
        ("a length with a sign", format!("Content-Length: +{length}\r\n"), &inner),
        ("a negative length", "Content-Length: -1\r\n".into(), &inner),
        ("a length in hex", "Content-Length: 0x10\r\n".into(), &inner),
        ("a length without end", format!("Content-Length: {}\r\n", "9".repeat(40)), &inner),
        ("length and chunks", format!("{short}Transfer-Encoding: chunked\r\n"), &chunks),
        ("chunks and length", format!("Transfer-Encoding: chunked\r\n{short}"), &chunks),
        ("chunks that are not last", "Transfer-Encoding: chunked, identity\r\n".into(), &chunks),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n".into(), &chunks),
        ("a space before the colon", format!("Transfer-Encoding : chunked\r\n{short}"), &chunks),
        ("a folded line", format!("Transfer-Encoding:\r\n chunked\r\n{short}"), &chunks),
        ("a line without a name", format!(": chunked\r\n{short}"), &chunks),
        ("a NUL in a value", format!("X-Nul: a\0b\r\n{short}"), &chunks),
        (
            "a chunk size beyond counting",
            "Transfer-Encoding: chunked\r\n".into(),
            "FFFFFFFFFFFFFFFFF\r\n",
        ),
        ("a chunk size that is no number", "Transfer-Encoding: chunked\r\n".into(), "zz\r\n"),
    ] {
        let lines = format!("POST /v1/sandboxes HTTP/1.1\r\n{lines}");
        let request = head(&server, &lines) + body;
        let outcome = send(&server, request.as_bytes(), b"").await.context(what)?;
        let refused = outcome.status().is_some_and(|status| (400..500).contains(&status));
        ensure!(refused && outcome.answers() == 1, "{what}: {}", outcome.said);
    }
    ensure!(server.sandboxes().await?.is_empty(), "something was made of it");
    let me: Value = server.request(Method::GET, "/v1/me").send().await?.json().await?;
    ensure!(me["id"].is_string(), "{me}");
    server.finish()
}
