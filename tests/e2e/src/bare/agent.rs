//! Asking the agent directly.

use anyhow::{Context, bail};
use pando_guest_protocol::SESSION_PORT;
use pando_guest_protocol::frame::{self, CHUNK_BYTES, Frame, Kind};
use pando_guest_protocol::log::{LogLines, LogQuery};
use pando_guest_protocol::repl::{self, CellDone, Language, OpenRepl, Repl};
use pando_guest_protocol::session::{Exec, ExecDone, Operation, PROTOCOL, Request};
use tokio::net::TcpStream;

use super::BareMachine;

/// What a cell said and how it ended.
#[derive(Debug)]
pub struct Cell {
    /// Its results, a JSON mime bundle a line.
    pub results: String,
    /// How it ended.
    pub done: CellDone,
}

/// A command that runs, and that the host watches.
pub struct Watched {
    stream: TcpStream,
}

impl Watched {
    /// Its next words.
    ///
    /// # Errors
    /// When none come.
    pub async fn next(&mut self) -> anyhow::Result<String> {
        let frame = frame::expect(&mut self.stream).await?;
        match frame.kind {
            Kind::Stdout => Ok(String::from_utf8(frame.payload)?),
            other => bail!("{other:?}: {}", String::from_utf8_lossy(&frame.payload)),
        }
    }
}

impl BareMachine {
    async fn ask(&self, operation: Operation) -> anyhow::Result<TcpStream> {
        let mut stream = self.connect(SESSION_PORT).await?;
        let request = Request { protocol: PROTOCOL, token: self.token().to_owned(), operation };
        frame::write_json(&mut stream, Kind::Request, &request).await?;
        Ok(stream)
    }

    async fn answer(&self, operation: Operation) -> anyhow::Result<Frame> {
        let frame = frame::expect(&mut self.ask(operation).await?).await?;
        match frame.kind {
            Kind::Reply => Ok(frame),
            other => bail!("{other:?}: {}", String::from_utf8_lossy(&frame.payload)),
        }
    }

    /// Asks whether it is there.
    ///
    /// # Errors
    /// When it does not say so.
    pub async fn ping(&self) -> anyhow::Result<()> {
        self.answer(Operation::Ping).await.map(drop)
    }

    /// Starts a shell command and watches it.
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub async fn watch(&self, script: &str) -> anyhow::Result<Watched> {
        let mut stream = self.ask(Operation::Exec(shell(script))).await?;
        frame::write(&mut stream, Kind::End, &[]).await?;
        Ok(Watched { stream })
    }

    /// Starts a program that lives on by itself.
    ///
    /// # Errors
    /// When it is not started.
    pub async fn start(&self, argv: &[&str]) -> anyhow::Result<()> {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let detached_log = Some("/tmp/started.log".to_owned());
        let exec = Exec { argv, detached_log, ..shell("") };
        self.answer(Operation::Exec(exec)).await.map(drop)
    }

    /// Runs a shell command that must succeed, and returns its output without the last newline.
    ///
    /// # Errors
    /// When it does not succeed.
    pub async fn sh(&self, script: &str) -> anyhow::Result<String> {
        let mut stream = self.watch(script).await?.stream;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            let frame = frame::expect(&mut stream).await?;
            match frame.kind {
                Kind::Stdout => stdout.extend(frame.payload),
                Kind::Stderr => stderr.extend(frame.payload),
                Kind::Reply if frame.json::<ExecDone>()?.exit_code == 0 => {
                    return Ok(String::from_utf8(stdout)?.trim_end().to_owned());
                }
                other => bail!("`{script}`: {other:?} {}", String::from_utf8_lossy(&stderr)),
            }
        }
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When it is not written.
    pub async fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let operation = Operation::WriteFile { path: path.to_owned(), mode: 0o755 };
        let mut stream = self.ask(operation).await?;
        frame::write(&mut stream, Kind::Data, text.as_bytes()).await?;
        frame::write(&mut stream, Kind::End, &[]).await?;
        let frame = frame::expect(&mut stream).await?;
        match frame.kind {
            Kind::Reply => Ok(()),
            other => bail!("{other:?}: {}", String::from_utf8_lossy(&frame.payload)),
        }
    }

    /// Opens a Python session.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn open_python(&self) -> anyhow::Result<String> {
        let open =
            OpenRepl { language: Language::Python, cwd: None, env: Default::default(), user: None };
        Ok(self.answer(Operation::OpenRepl(open)).await?.json::<Repl>()?.id)
    }

    /// Runs a cell to its end.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn cell(&self, id: &str, code: &str) -> anyhow::Result<Cell> {
        let cell = repl::Cell { id: id.to_owned(), timeout_ms: 60_000 };
        let mut stream = self.ask(Operation::RunCell(cell)).await?;
        for chunk in code.as_bytes().chunks(CHUNK_BYTES) {
            frame::write(&mut stream, Kind::Data, chunk).await?;
        }
        frame::write(&mut stream, Kind::End, &[]).await?;
        let mut results = Vec::new();
        loop {
            let frame = frame::expect(&mut stream).await?;
            match frame.kind {
                Kind::Data => results.extend(frame.payload),
                Kind::Stdout | Kind::Stderr => {}
                Kind::Reply => {
                    let results = String::from_utf8(results)?;
                    return Ok(Cell { results, done: frame.json()? });
                }
                other => bail!("{other:?}: {}", String::from_utf8_lossy(&frame.payload)),
            }
        }
    }

    /// All that its log holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn logged(&self) -> anyhow::Result<String> {
        let mut stream = self.ask(Operation::Logs(LogQuery::default())).await?;
        let mut text = String::new();
        loop {
            let frame = frame::expect(&mut stream).await?;
            if frame.kind == Kind::End {
                return Ok(text);
            }
            for line in frame.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let lines: LogLines = serde_json::from_slice(line).context("a log line")?;
                text.push_str(&lines.text);
                text.push('\n');
            }
        }
    }
}

fn shell(script: &str) -> Exec {
    Exec {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).into(),
        cwd: None,
        env: Default::default(),
        user: None,
        timeout_ms: None,
        detached_log: None,
        log_name: None,
        root: None,
    }
}
