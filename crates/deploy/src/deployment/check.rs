//! The health check: the app answers HTTP on its port, asked from outside the
//! sandbox as a browser would.

use std::time::Duration;

use futures_util::StreamExt;
use pando_guest_protocol::log::{LogQuery, Whose};
use pando_guest_protocol::supervise::Watched;
use pando_node::guest::GuestError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::run::{Halt, Run};
use super::start::WEB;
use crate::machine::Machine;

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(250);
/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How often to look how the process is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// How often the process may end before its first answer; then it is not waited for.
const MAX_ENDS: u64 = 3;
/// The bytes of an answer that are read: its status line is all that counts.
const MAX_HEAD_BYTES: usize = 256;
/// Statuses from here on are the app saying that it does not work.
const FIRST_BAD_STATUS: u16 = 500;
const LOG_TAIL_LINES: usize = 40;
const MAX_LOG_TAIL_BYTES: usize = 16 * 1024;

/// What one question came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Status(u16),
    NoHttp,
    NotYet,
}

impl Run {
    pub(super) async fn check(&self, machine: &dyn Machine) -> Result<(), Halt> {
        let port = self.app.port;
        self.say(format!("Waiting until the app answers on port {port}.")).await;
        let deadline = Instant::now() + self.context.health_grace;
        // One that goes on in a copy of a machine has ended there before.
        let before = web(machine).await.map_or(0, |web| web.ends());
        let mut look = Instant::now() + LOOK_EVERY;
        let mut last = Answer::NotYet;
        while Instant::now() < deadline {
            match self.question(machine, deadline).await {
                Answer::Status(status) if status < FIRST_BAD_STATUS => {
                    self.say(format!("The app answers: status {status}.")).await;
                    return Ok(());
                }
                Answer::NotYet => {}
                answer => last = answer,
            }
            if Instant::now() >= look {
                look = Instant::now() + LOOK_EVERY;
                // It may have handed over to another process and left: then the port tells.
                if let Some(code) = has_failed(machine, before).await
                    && !self.listens(machine).await
                {
                    let what = format!("the app ended before it answered, with exit code {code}");
                    return Err(self.unhealthy(machine, &what).await);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        let seconds = self.context.health_grace.as_secs();
        let what = match last {
            Answer::Status(status) => format!("the app answers with status {status} only"),
            Answer::NoHttp => format!("what listens on port {port} does not speak HTTP"),
            Answer::NotYet => format!("the app did not answer on port {port} within {seconds} s"),
        };
        Err(self.unhealthy(machine, &what).await)
    }

    async fn question(&self, machine: &dyn Machine, deadline: Instant) -> Answer {
        let limit = ANSWER_LIMIT.min(deadline.saturating_duration_since(Instant::now()));
        let asked = async {
            let stream = machine.connect(self.app.port).await.ok()?;
            status_of(stream, self.app.port).await
        };
        timeout(limit, asked).await.ok().flatten().unwrap_or(Answer::NotYet)
    }

    async fn listens(&self, machine: &dyn Machine) -> bool {
        let listeners = machine.listeners().await.unwrap_or_default();
        listeners.iter().any(|listener| listener.port == self.app.port)
    }

    /// The failure, with what helps to mend it in log and text.
    async fn unhealthy(&self, machine: &dyn Machine, what: &str) -> Halt {
        let tail = tail(machine).await;
        self.say("The end of the app's own log:").await;
        if tail.is_empty() {
            self.say("(it is empty)").await;
        }
        for line in tail.lines() {
            self.say(line).await;
        }
        let listeners = machine.listeners().await.unwrap_or_default();
        let mut places: Vec<String> = listeners
            .iter()
            .filter(|listener| listener.port != self.app.port)
            .map(|listener| std::net::SocketAddr::new(listener.address, listener.port).to_string())
            .collect();
        places.dedup();
        places.truncate(10);
        if places.is_empty() {
            return Halt::Failed(what.to_owned());
        }
        let places = places.join(", ");
        Halt::Failed(format!(
            "{what}; it listens on {places}: it must use the port in the variable PORT"
        ))
    }
}

/// The exit code of a web process that has ended too often since `before`, which it may do
/// once or twice while something that it needs comes up.
async fn has_failed(machine: &dyn Machine, before: u64) -> Option<i32> {
    let web = web(machine).await?;
    let ends = web.ends().saturating_sub(before);
    web.last_exit_code.filter(|_| ends >= MAX_ENDS)
}

async fn web(machine: &dyn Machine) -> Option<Watched> {
    let processes = timeout(LOOK_LIMIT, machine.processes()).await.ok()?.ok()?;
    processes.into_iter().find(|process| process.name == WEB)
}

/// The last lines of the web process, as far as they come.
async fn tail(machine: &dyn Machine) -> String {
    let query = LogQuery {
        whose: Whose::Process(WEB.to_owned()),
        tail: Some(LOG_TAIL_LINES),
        ..LogQuery::default()
    };
    let mut tail = String::new();
    let read = async {
        let mut lines = machine.logs(query).await?;
        while let Some(some) = lines.next().await.transpose()? {
            tail.push_str(&some.text.replace('\0', "\u{fffd}"));
            tail.push('\n');
            // However much a guest says is asked for.
            keep_end(&mut tail);
        }
        Ok::<_, GuestError>(())
    };
    // What came until then may help all the same.
    let _ = timeout(LOOK_LIMIT, read).await;
    tail
}

fn keep_end(text: &mut String) {
    let mut start = text.len().saturating_sub(MAX_LOG_TAIL_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.drain(..start);
}

/// Asks for `/` and reads the status line; redirects are an answer like any other.
async fn status_of(mut stream: TcpStream, port: u16) -> Option<Answer> {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: pando-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = Vec::new();
    let mut limited = stream.take(MAX_HEAD_BYTES as u64);
    while !head.contains(&b'\n') {
        if limited.read_buf(&mut head).await.ok()? == 0 {
            break;
        }
    }
    // Closed without a word: it is not ready.
    (!head.is_empty()).then(|| parse_status(&head))
}

/// `HTTP/1.1 200 OK`
fn parse_status(head: &[u8]) -> Answer {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let status = match (words.next(), words.next()) {
        (Some(version), Some(status)) if version.starts_with("HTTP/") => status.parse().ok(),
        _ => None,
    };
    status.filter(|status| (100..600).contains(status)).map_or(Answer::NoHttp, Answer::Status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_kept() {
        let mut text = "ü".repeat(MAX_LOG_TAIL_BYTES) + "end";
        keep_end(&mut text);
        assert_eq!(text.len(), MAX_LOG_TAIL_BYTES - 1);
        assert!(text.ends_with("üend"));
    }

    #[test]
    fn the_status_line_is_read() {
        assert_eq!(parse_status(b"HTTP/1.1 200 OK\r\nx: y\r\n"), Answer::Status(200));
        assert_eq!(parse_status(b"HTTP/1.0 302\r\n"), Answer::Status(302));
        for bad in [&b"SSH-2.0-OpenSSH\r\n"[..], b"HTTP/1.1 99 x", b"HTTP/1.1", b"", b"\xff\n"] {
            assert_eq!(parse_status(bad), Answer::NoHttp);
        }
    }
}
