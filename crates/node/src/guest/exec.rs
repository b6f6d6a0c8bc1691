//! Running commands in a guest.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use pando_guest_protocol::frame::{self, CHUNK_BYTES, FrameError, Kind};
use pando_guest_protocol::session::{Exec, ExecDone, Operation, Signal, Started};
use serde::Serialize;
use tokio::io::AsyncWrite;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::client::{Guest, GuestError, reply, unexpected, within};
use super::frames::{Frames, PIECE_BYTES};
use crate::held::{Account, Held, NoRoom};

/// How long a detached command may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer than its own time limit a command may stay silent before the
/// host gives up on the agent that should have ended it.
const GRACE: Duration = Duration::from_secs(30);
/// How long a guest may take or send nothing in the midst of a transfer.
pub(super) const STALL: Duration = Duration::from_secs(60);
/// Pieces that wait for a slow reader; then the guest waits.
const QUEUE_PIECES: usize = 2;

/// What is written to a command's standard input, which is then closed.
pub enum ExecInput {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// All that comes.
    Stream(BoxStream<'static, io::Result<Bytes>>),
    /// What is said to it while it runs; dropping the other end closes the input.
    Live(mpsc::Receiver<ExecSay>),
}

/// What is said to a running command. In order: a signal waits behind input that
/// the command has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecSay {
    /// Input.
    Input(Bytes),
    /// The end of its input.
    End,
    /// A signal for its process group, by its number.
    Signal(i32),
}

/// What a running command says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEvent {
    /// Some of its standard output.
    Stdout(Bytes),
    /// Some of its standard error.
    Stderr(Bytes),
    /// It ended; nothing follows.
    Exit(ExecDone),
}

/// A running command's events. Dropped before the end, it kills the command.
pub struct ExecStream {
    events: mpsc::Receiver<Result<ExecEvent, GuestError>>,
    account: Account,
    _reader: AbortOnDropHandle<()>,
    _writer: AbortOnDropHandle<()>,
}

/// A command that ended, with what it said.
#[derive(Debug)]
pub struct Finished {
    /// Standard output, up to the limit.
    pub stdout: Held<Vec<u8>>,
    /// Standard error, up to the limit.
    pub stderr: Held<Vec<u8>>,
    /// How it ended.
    pub done: ExecDone,
    /// Whether either was longer.
    pub truncated: bool,
}

impl Stream for ExecStream {
    type Item = Result<ExecEvent, GuestError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(context)
    }
}

impl ExecStream {
    /// Waits for the command's end, keeping at most `limit_bytes` of each output.
    ///
    /// # Errors
    /// Any [`GuestError`]; the command is killed then.
    pub async fn finish(mut self, limit_bytes: usize) -> Result<Finished, GuestError> {
        let nothing = || Held::nothing(&self.account);
        let (mut stdout, mut stderr, mut truncated) = (nothing(), nothing(), false);
        while let Some(event) = self.events.recv().await {
            let (kept, bytes) = match event? {
                ExecEvent::Stdout(bytes) => (&mut stdout, bytes),
                ExecEvent::Stderr(bytes) => (&mut stderr, bytes),
                ExecEvent::Exit(done) => return Ok(Finished { stdout, stderr, done, truncated }),
            };
            truncated |= keep(kept, &bytes, limit_bytes)?;
        }
        Err(FrameError::Ended.into())
    }
}

/// Keeps what fits below the limit; returns whether anything did not.
pub(super) fn keep(
    kept: &mut Held<Vec<u8>>,
    bytes: &[u8],
    limit_bytes: usize,
) -> Result<bool, NoRoom> {
    let room = limit_bytes.saturating_sub(kept.len());
    kept.push(&bytes[..bytes.len().min(room)])?;
    Ok(bytes.len() > room)
}

impl Guest {
    /// Runs a command and streams what it says.
    ///
    /// # Errors
    /// [`GuestError::Failed`] when it cannot be started; the stream yields any later error.
    pub async fn exec_stream(
        &self,
        exec: Exec,
        input: ExecInput,
    ) -> Result<ExecStream, GuestError> {
        let patience = exec.timeout_ms.map(|limit| Duration::from_millis(limit) + GRACE);
        let session = self.open(Operation::Exec(exec)).await?;
        let (reader, writer) = session.into_split();
        let (events, receiver) = mpsc::channel(QUEUE_PIECES);
        let (released, hold) = tokio::sync::oneshot::channel::<()>();
        let frames = Frames::in_pieces(self.account(), PIECE_BYTES);
        let guest = self.clone();
        Ok(ExecStream {
            events: receiver,
            account: self.account().clone(),
            _reader: AbortOnDropHandle::new(tokio::spawn(async move {
                tokio::select! {
                    () = read_events(reader, frames, &events, patience) => {}
                    gone = guest.gone() => {
                        // Nobody listens any more, or now they know.
                        let _ = events.send(Err(gone)).await;
                    }
                }
                drop(released);
            })),
            _writer: AbortOnDropHandle::new(tokio::spawn(async move {
                let mut writer = writer;
                // A broken input ends the input; the command's own end tells the rest.
                let _ = write_input(&mut writer, input).await;
                // Closing our half would tell the agent that we are gone.
                let _ = hold.await;
            })),
        })
    }

    /// Starts a command that lives on by itself; its `detached_log` says where its output goes.
    ///
    /// # Errors
    /// Any [`GuestError`].
    pub async fn start(&self, exec: Exec) -> Result<Started, GuestError> {
        self.ask::<Started>(Operation::Exec(exec), START_TIMEOUT).await.map(|held| held.apart().0)
    }
}

async fn read_events(
    mut reader: OwnedReadHalf,
    mut frames: Frames,
    events: &mpsc::Sender<Result<ExecEvent, GuestError>>,
    patience: Option<Duration>,
) {
    let deadline = patience.map(|patience| (patience, tokio::time::Instant::now() + patience));
    loop {
        let next = frames.next(&mut reader);
        let frame = match deadline {
            Some((patience, at)) => match tokio::time::timeout_at(at, next).await {
                Ok(frame) => frame,
                Err(_) => Err(GuestError::Timeout(patience)),
            },
            None => next.await,
        };
        let event = frame.and_then(|frame| {
            let kind = frame.kind;
            Ok(match kind {
                Kind::Stdout => ExecEvent::Stdout(frame.payload.into()),
                Kind::Stderr => ExecEvent::Stderr(frame.payload.into()),
                Kind::Reply => ExecEvent::Exit(reply(&frame)?),
                _ => return Err(unexpected(&frame)),
            })
        });
        let last = matches!(event, Err(_) | Ok(ExecEvent::Exit(_)));
        // Nobody listens any more: the dropped connection tells the agent.
        if events.send(event).await.is_err() || last {
            return;
        }
    }
}

async fn write_input(writer: &mut OwnedWriteHalf, input: ExecInput) -> Result<(), GuestError> {
    match input {
        ExecInput::Empty => {}
        ExecInput::Bytes(bytes) => write_data(writer, &bytes).await?,
        ExecInput::Stream(mut stream) => {
            while let Some(bytes) = stream.next().await {
                write_data(writer, &bytes.map_err(|error| GuestError::Body(error.into()))?).await?;
            }
        }
        ExecInput::Live(mut said) => {
            while let Some(say) = said.recv().await {
                match say {
                    // A command may leave its input unread for as long as it runs. Its own
                    // time limit ends it, and this with it.
                    ExecSay::Input(bytes) => {
                        for chunk in bytes.chunks(CHUNK_BYTES) {
                            frame::write(writer, Kind::Data, chunk).await?;
                        }
                    }
                    ExecSay::End => write_end(writer).await?,
                    ExecSay::Signal(number) => {
                        write_json(writer, Kind::Signal, &Signal { number }).await?;
                    }
                }
            }
        }
    }
    write_end(writer).await
}

/// Sends bytes as `Data` frames.
pub(super) async fn write_data<W: AsyncWrite + Unpin>(
    writer: &mut W,
    bytes: &[u8],
) -> Result<(), GuestError> {
    for chunk in bytes.chunks(CHUNK_BYTES) {
        within(STALL, async { Ok(frame::write(writer, Kind::Data, chunk).await?) }).await?;
    }
    Ok(())
}

/// Sends one value.
pub(super) async fn write_json<W: AsyncWrite + Unpin, T: Serialize>(
    writer: &mut W,
    kind: Kind,
    value: &T,
) -> Result<(), GuestError> {
    within(STALL, async { Ok(frame::write_json(writer, kind, value).await?) }).await
}

/// Says that no more `Data` follows.
pub(super) async fn write_end<W: AsyncWrite + Unpin>(writer: &mut W) -> Result<(), GuestError> {
    within(STALL, async { Ok(frame::write(writer, Kind::End, &[]).await?) }).await
}

/// The next frame of a transfer. Data of no bytes moves nothing: it counts as silence.
pub(super) async fn next_frame(
    frames: &mut Frames,
    reader: &mut OwnedReadHalf,
) -> Result<frame::Frame, GuestError> {
    within(STALL, async {
        loop {
            let frame = frames.next(reader).await?;
            if frame.kind != Kind::Data || !frame.payload.is_empty() {
                return Ok(frame);
            }
        }
    })
    .await
}
