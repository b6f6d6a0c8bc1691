//! Sessions over loopback TCP, as the host sees them.

mod access;
mod exec;
mod files;
mod lives;
mod logs;
mod machine;
mod ports;
mod repl;
mod root;
mod supervise;
mod terminal;

use std::collections::BTreeMap;
use std::sync::Arc;

use pando_guest_protocol::frame::{self, Frame, Kind};
use pando_guest_protocol::session::{Exec, ExecDone, Failure, Operation, PROTOCOL, Request};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Services, Token, listen};
use crate::repl::Repls;

const DIGIT: &str = "a";

fn token() -> String {
    DIGIT.repeat(64)
}

/// An agent's listener on a loopback port of its own. Ends with the test.
struct Agent {
    address: std::net::SocketAddr,
    services: Services,
    task: JoinHandle<std::convert::Infallible>,
    _run: tempfile::TempDir,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Agent {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let run = tempfile::tempdir().unwrap();
        let repls = Arc::new(Repls::with_folder(run.path().join("repl")));
        let services = Services { repls, ..Services::default() };
        services.access.open(Token::parse(&token()).unwrap());
        let task = tokio::spawn(listen(listener, services.clone()));
        Self { address, services, task, _run: run }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn ask(&self, operation: Operation) -> TcpStream {
        let mut stream = self.connect().await;
        let request = Request { protocol: PROTOCOL, token: token(), operation };
        frame::write_json(&mut stream, Kind::Request, &request).await.unwrap();
        stream
    }

    /// The one frame that answers `operation`.
    async fn answer(&self, operation: Operation) -> Frame {
        frame::expect(&mut self.ask(operation).await).await.unwrap()
    }

    async fn failure(&self, operation: Operation) -> Failure {
        failure_in(&self.answer(operation).await)
    }

    /// Runs a shell script without input to its end.
    async fn shell(&self, script: &str) -> Outcome {
        let mut stream = self.ask(Operation::Exec(shell(script))).await;
        frame::write(&mut stream, Kind::End, &[]).await.unwrap();
        outcome(&mut stream).await
    }
}

/// What a command wrote and how it ended.
#[derive(Debug)]
struct Outcome {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    done: ExecDone,
}

impl Outcome {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

fn command(argv: &[&str]) -> Exec {
    Exec {
        argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
        cwd: Some("/".into()),
        env: BTreeMap::new(),
        user: None,
        timeout_ms: None,
        detached_log: None,
        log_name: None,
        root: None,
    }
}

fn shell(script: &str) -> Exec {
    command(&["sh", "-c", script])
}

async fn outcome(stream: &mut TcpStream) -> Outcome {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    loop {
        let frame = frame::expect(stream).await.unwrap();
        match frame.kind {
            Kind::Stdout => stdout.extend(frame.payload),
            Kind::Stderr => stderr.extend(frame.payload),
            Kind::Reply => {
                return Outcome { stdout, stderr, done: frame.json().unwrap() };
            }
            _ => panic!("{frame:?}"),
        }
    }
}

fn failure_in(frame: &Frame) -> Failure {
    assert_eq!(frame.kind, Kind::Failed, "{frame:?}");
    frame.json().unwrap()
}

/// Waits for a state of the world that is bound to come.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("never came: {what}");
}

/// Whether a process exists and is no zombie.
fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}
