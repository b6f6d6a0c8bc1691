//! The health check: the app answers HTTP on its port, asked from outside the
//! sandbox as a browser would.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use pando_guest_protocol::log::{LogQuery, Whose};
use pando_guest_protocol::session::Listener;
use pando_guest_protocol::supervise::Watched;
use pando_node::guest::GuestError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::run::{Halt, Run};
use super::start::WEB;
use crate::detect::{Health, Plan, Protocol, shown};
use crate::machine::Machine;

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(250);
/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How often to look how the process is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an app that answers is watched: some end with their first request, or once they
/// have read what they need.
const SETTLE: Duration = Duration::from_secs(1);
/// How often the log says that it is still waited for.
const TELL_EVERY: Duration = Duration::from_secs(15);
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
    Connected,
    Status(u16),
    NoHttp,
    NotYet,
}

impl Answer {
    fn is_good(&self) -> bool {
        match self {
            Self::Connected => true,
            Self::Status(status) => *status < FIRST_BAD_STATUS,
            Self::NoHttp | Self::NotYet => false,
        }
    }
}

/// Follows on "the app".
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("takes connections"),
            Self::Status(status) => write!(f, "answers with status {status}"),
            Self::NoHttp => f.write_str("answers in no HTTP"),
            Self::NotYet => f.write_str("does not answer"),
        }
    }
}

/// Whether an app that answers is watched for a moment before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settle {
    /// It was just started: some answer, and end at once.
    Watch,
    /// It goes on as it was when it had been watched.
    Skip,
}

impl Run {
    pub(super) async fn check(
        &self,
        machine: &dyn Machine,
        plan: &Plan,
        settle: Settle,
    ) -> Result<(), Halt> {
        let (port, health) = (self.port, &plan.health);
        let grace = health
            .grace_seconds
            .map_or(self.context.health_grace, |seconds| Duration::from_secs(seconds.into()));
        let seconds = grace.as_secs();
        let what = match health.protocol {
            Protocol::Http if health.path == "/" => format!("answers on port {port}"),
            Protocol::Http => format!("answers {} on port {port}", health.path),
            Protocol::Tcp => format!("takes a connection on port {port}"),
        };
        self.say(format!("Waiting until the app {what}, for {seconds} s at most.")).await;
        let begun = Instant::now();
        let deadline = begun + grace;
        // One that goes on in a copy of a machine has ended there before.
        let before = web(machine).await.map_or(0, |web| web.ends());
        let (mut look, mut tell) = (begun + LOOK_EVERY, begun + TELL_EVERY);
        let (mut last, mut has_answered) = (Answer::NotYet, false);
        while Instant::now() < deadline {
            let answer = self.question(machine, health, deadline).await;
            match answer.is_good() {
                true if settle == Settle::Skip || self.goes_on(machine, health).await => {
                    self.say(format!("The app {answer}.")).await;
                    return Ok(());
                }
                true => has_answered = true,
                false if answer != Answer::NotYet => last = answer,
                false => {}
            }
            let now = Instant::now();
            if now >= look {
                look = now + LOOK_EVERY;
                // It may have handed over to another process and left: then the port tells.
                if let Some(code) = has_failed(machine, before).await
                    && !self.listens(machine).await
                {
                    let what = format!("the app ended before it answered, with exit code {code}");
                    return Err(self.unhealthy(machine, &what).await);
                }
            }
            if now >= tell {
                tell = now + TELL_EVERY;
                let waited = begun.elapsed().as_secs();
                self.say(format!("Still waiting, {waited} s of {seconds}.")).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let what = match last {
            _ if has_answered => format!("the app answered on port {port}, and then did not go on"),
            Answer::NoHttp => format!("what listens on port {port} does not speak HTTP"),
            Answer::NotYet | Answer::Connected if self.listens(machine).await => format!(
                "what listens on port {port} did not answer within {seconds} s; if it does not \
                 speak HTTP, `health.protocol` is `tcp` in pando.toml"
            ),
            Answer::NotYet | Answer::Connected => {
                format!("the app did not answer on port {port} within {seconds} s")
            }
            last @ Answer::Status(_) => format!("the app {last} only"),
        };
        Err(self.unhealthy(machine, &what).await)
    }

    /// Whether an app that answered is as well a moment later, and has not ended in between. It
    /// was in time: what it may take until its first answer does not bound this.
    async fn goes_on(&self, machine: &dyn Machine, health: &Health) -> bool {
        let before = web(machine).await.map_or(0, |web| web.ends());
        let settle = match self.app.active_deployment {
            // Nobody waits for this one: whom it would fail is served by the other.
            Some(_) => self.context.settle_beside,
            None => SETTLE,
        };
        tokio::time::sleep(settle).await;
        let after = web(machine).await;
        after.is_none_or(|web| web.ends() == before)
            && self.question(machine, health, Instant::now() + ANSWER_LIMIT).await.is_good()
    }

    async fn question(&self, machine: &dyn Machine, health: &Health, deadline: Instant) -> Answer {
        let limit = ANSWER_LIMIT.min(deadline.saturating_duration_since(Instant::now()));
        let asked = async {
            let stream = machine.connect(self.port).await.ok()?;
            match health.protocol {
                Protocol::Http => status_of(stream, self.port, &health.path).await,
                Protocol::Tcp => Some(Answer::Connected),
            }
        };
        timeout(limit, asked).await.ok().flatten().unwrap_or(Answer::NotYet)
    }

    async fn listens(&self, machine: &dyn Machine) -> bool {
        let listeners = machine.listeners().await.unwrap_or_default();
        listeners.iter().any(|listener| listener.port == self.port)
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
        let elsewhere = listeners.iter().filter(|listener| listener.port != self.port);
        let mut places: Vec<String> = elsewhere.map(place).collect();
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

/// `0.0.0.0:4567 (node)`
fn place(listener: &Listener) -> String {
    let address = SocketAddr::new(listener.address, listener.port);
    match &listener.process {
        Some(process) => format!("{address} ({})", shown(process)),
        None => address.to_string(),
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

/// Asks for a path and reads the status line; redirects are an answer like any other.
async fn status_of(mut stream: TcpStream, port: u16, path: &str) -> Option<Answer> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: pando-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
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
