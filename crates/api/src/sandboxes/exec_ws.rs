//! `GET /v1/sandboxes/{id}/exec/ws`: many commands over one WebSocket.

mod message;

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use futures_util::StreamExt;
use pando_guest_protocol::session::{Exec, ExecDone};
use pando_node::guest::{ExecEvent, ExecInput, ExecSay, Guest};
use pando_node::held::{Charge, Held};
use pando_types::limits::{HELD_BY_REQUEST_BYTES, MAX_INPUTS_WAITING, MAX_MULTIPLEXED_COMMANDS};
use pando_types::{Code, PublicError};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Duration, timeout};

use self::message::{Ask, CommandId, Form, Start};
use super::{exec_request, guest};
use crate::Api;
use crate::auth::Caller;
use crate::extract::{EACH_BYTE_READ, UrlPath};
use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::socket::{self, Handshake, Heard, Receiver, Sender};
use crate::utf8::Utf8Pieces;

/// Messages of all commands that wait for the client; then the commands wait.
const MESSAGES_WAITING: usize = 8;
/// How long a client waits that sent more input than may wait, before the command that does
/// not read is ended: the connection's other commands wait too.
const INPUT_LIMIT: Duration = Duration::from_secs(30);

/// Runs commands over one WebSocket, several at once, each by an id that the client gives.
///
/// Messages are JSON. In: `{"id", "cmd", …}` starts a command, with the fields of `exec` and
/// `open_stdin: true` to go on with `{"id", "stdin"}` and `{"id", "eof": true}`; `{"id",
/// "signal": "INT"}`; `{"id", "cancel": true}` kills it and all it started. Out: `{"id", "stream",
/// "data"}`, then `{"id", "exit", "duration_ms"}` or `{"id", "error", "code"}`. Closing the
/// WebSocket kills all of them. A browser gives its key as `access_token`.
///
/// Text holds no bytes that are not UTF-8. A command that was started with `bytes: true` says
/// what it says in binary messages: `{"id", "stream"}`, a newline, and the bytes. Its input may
/// come so too: `{"id"}`, a newline, and the bytes. `{"id", "taken": n}` tells how many of its
/// inputs the sandbox has taken; a client that leaves no more than 32 of them untaken never waits.
#[utoipa::path(
    get, path = "/sandboxes/{id}/exec/ws", tag = "sandboxes", operation_id = "sandbox_exec_ws",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 101, description = "The WebSocket begins"), Refusals)
)]
pub async fn exec_ws(
    State(api): State<Api>,
    caller: Caller,
    UrlPath(id): UrlPath<String>,
    handshake: Handshake,
) -> Result<Response, Refused> {
    let guest = guest(&api, &caller, &id).await?;
    Ok(handshake.asked()?.begin(|sender, receiver| serve(sender, receiver, guest)))
}

/// Serves until the client leaves; the commands end with it.
async fn serve(sender: Sender, receiver: Receiver, guest: Guest) {
    let (said, to_send) = mpsc::channel(MESSAGES_WAITING);
    tokio::select! {
        () = Commands::new(guest, said).obey(receiver) => {}
        () = send(sender, to_send) => {}
    }
}

async fn send(mut sender: Sender, mut to_send: mpsc::Receiver<Message>) {
    let mut pings = socket::pings();
    loop {
        let sent = tokio::select! {
            message = to_send.recv() => match message {
                Some(Message::Json(message)) => sender.json(&message).await,
                Some(Message::Bytes(message)) => sender.bytes(message).await,
                None => return,
            },
            _ = pings.tick() => sender.ping().await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A message to the client.
enum Message {
    Json(Value),
    Bytes(Bytes),
}

/// The commands of one connection.
struct Commands {
    guest: Guest,
    said: mpsc::Sender<Message>,
    running: HashMap<CommandId, Running>,
    tasks: JoinSet<(CommandId, u64)>,
    started: u64,
}

struct Running {
    /// Tells it from an earlier one of the same id.
    number: u64,
    inputs: mpsc::Sender<ExecSay>,
    task: AbortHandle,
}

impl Commands {
    fn new(guest: Guest, said: mpsc::Sender<Message>) -> Self {
        Self { guest, said, running: HashMap::new(), tasks: JoinSet::new(), started: 0 }
    }

    async fn obey(mut self, mut receiver: Receiver) {
        loop {
            let heard = tokio::select! {
                heard = receiver.next() => heard,
                Some(ended) = self.tasks.join_next() => {
                    if let Ok((id, number)) = ended
                        && self.running.get(&id).is_some_and(|running| running.number == number)
                    {
                        self.running.remove(&id);
                    }
                    continue;
                }
            };
            let heard_bytes = heard.as_ref().map_or(0, Heard::len);
            let read = match heard {
                Some(Heard::Text(text)) => message::read(&text),
                Some(Heard::Bytes(bytes)) => message::read_bytes(bytes).map_err(|e| (None, e)),
                None => return,
            };
            let answer = match read {
                Ok((id, ask)) => {
                    let carried_out = self.carry_out(&id, ask, heard_bytes).await;
                    carried_out.err().map(|error| refusal(&id, &error))
                }
                Err((id, error)) => Some(refusal(&id.unwrap_or_default(), &error)),
            };
            if let Some(answer) = answer
                && self.said.send(answer).await.is_err()
            {
                return;
            }
        }
    }

    /// Does what was asked in a message of so many bytes.
    async fn carry_out(
        &mut self,
        id: &CommandId,
        ask: Ask,
        heard_bytes: usize,
    ) -> Result<(), PublicError> {
        match ask {
            Ask::Start(start) => self.start(id, *start, heard_bytes),
            Ask::Cancel => {
                let running = self.running.remove(id).ok_or_else(|| unknown(id))?;
                running.task.abort();
                let message = json!({"id": id, "error": "cancelled: the command was killed"});
                // The client may be gone; then there is nobody to tell.
                let _ = self.said.send(Message::Json(message)).await;
                Ok(())
            }
            Ask::Say(said) => {
                let inputs = self.running.get(id).ok_or_else(|| unknown(id))?.inputs.clone();
                for say in said {
                    let say = self.counted(id, say)?;
                    match timeout(INPUT_LIMIT, inputs.send(say)).await {
                        Ok(Ok(())) => {}
                        // It has just ended, and says so itself.
                        Ok(Err(_)) => break,
                        Err(_) => {
                            if let Some(running) = self.running.remove(id) {
                                running.task.abort();
                            }
                            let secs = INPUT_LIMIT.as_secs();
                            let message = format!(
                                "the command did not read its input for {secs} s, so it was killed"
                            );
                            return Err(PublicError::new(Code::Timeout, message));
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Counts an input for as long as it waits. Where there is no room, its command is
    /// ended: it must not go on without it.
    fn counted(&mut self, id: &CommandId, say: ExecSay) -> Result<ExecSay, PublicError> {
        let ExecSay::Input(bytes) = say else { return Ok(say) };
        match Held::counted(bytes, self.guest.account()) {
            Ok(held) => Ok(ExecSay::Input(Bytes::from_owner(held))),
            Err(no_room) => {
                if let Some(running) = self.running.remove(id) {
                    running.task.abort();
                }
                let refusal = PublicError::from(no_room);
                let message = format!("{}, so the command was killed", refusal.message);
                Err(PublicError { message, ..refusal })
            }
        }
    }

    fn start(
        &mut self,
        id: &CommandId,
        start: Start,
        heard_bytes: usize,
    ) -> Result<(), PublicError> {
        if self.running.get(id).is_some_and(|running| !running.task.is_finished()) {
            let message = "a command of this `id` is running: give each its own";
            return Err(PublicError::invalid("id", message));
        }
        // Those that were cancelled count until they are gone.
        if self.tasks.len() >= MAX_MULTIPLEXED_COMMANDS {
            let message =
                format!("{MAX_MULTIPLEXED_COMMANDS} commands are running, which is the most");
            return Err(PublicError::new(Code::OverQuota, message));
        }
        let command = exec_request::check(start.command)?;
        let account = self.guest.account();
        let mut held = account.take(HELD_BY_REQUEST_BYTES + EACH_BYTE_READ * heard_bytes)?;
        let (inputs, to_say) = mpsc::channel(MAX_INPUTS_WAITING);
        // The queue is empty, so there is room for both.
        if let Some(stdin) = command.stdin {
            let _ = inputs.try_send(ExecSay::Input(exec_request::part(stdin, &mut held)));
        }
        if !start.open_stdin {
            let _ = inputs.try_send(ExecSay::End);
        }
        self.started += 1;
        let number = self.started;
        let speaker = Speaker { id: id.clone(), form: start.form, said: self.said.clone() };
        let guest = self.guest.clone();
        let task = self.tasks.spawn(async move {
            let last = match run(&guest, command.exec, to_say, &speaker, &mut held).await {
                Ok(done) if done.timed_out => {
                    refusal(&speaker.id, &exec_request::timed_out(command.timeout))
                }
                Ok(done) => Message::Json(json!({
                    "id": speaker.id, "exit": done.exit_code, "duration_ms": done.duration_ms
                })),
                Err(error) => refusal(&speaker.id, &error),
            };
            speaker.say(last).await;
            (speaker.id, number)
        });
        self.running.insert(id.clone(), Running { number, inputs, task });
        Ok(())
    }
}

/// Speaks for one command.
struct Speaker {
    id: CommandId,
    form: Form,
    said: mpsc::Sender<Message>,
}

impl Speaker {
    async fn say(&self, message: Message) {
        // A client that is gone takes this task with it.
        let _ = self.said.send(message).await;
    }

    async fn text(&self, stream: &str, text: String) {
        if !text.is_empty() {
            self.say(Message::Json(json!({"id": self.id, "stream": stream, "data": text}))).await;
        }
    }

    async fn piece(&self, stream: &str, bytes: &[u8], text: &mut Utf8Pieces) {
        match self.form {
            Form::Text => self.text(stream, text.push(bytes)).await,
            Form::Bytes => {
                let head = json!({"id": self.id, "stream": stream});
                self.say(Message::Bytes(message::with_bytes(&head, bytes))).await;
            }
        }
    }

    /// Hands on what is said to the command, as fast as it is taken.
    async fn hand_on(&self, mut to_say: mpsc::Receiver<ExecSay>, live: mpsc::Sender<ExecSay>) {
        let mut taken = 0_u64;
        while let Some(say) = to_say.recv().await {
            let is_input = matches!(say, ExecSay::Input(_));
            if live.send(say).await.is_err() {
                return;
            }
            if is_input && self.form == Form::Bytes {
                taken += 1;
                self.say(Message::Json(json!({"id": self.id, "taken": taken}))).await;
            }
        }
    }
}

/// Runs a command to its end, passing on what it says.
async fn run(
    guest: &Guest,
    exec: Exec,
    to_say: mpsc::Receiver<ExecSay>,
    speaker: &Speaker,
    held: &mut Charge,
) -> Result<ExecDone, PublicError> {
    let failed = |error| exec_request::failed("cmd", error).into_error();
    let (live, inputs) = mpsc::channel(1);
    let mut events = guest.exec_stream(exec, ExecInput::Live(inputs)).await.map_err(failed)?;
    // The guest has what the message said.
    held.shrink_to(HELD_BY_REQUEST_BYTES);
    let (mut stdout, mut stderr) = (Utf8Pieces::default(), Utf8Pieces::default());
    let pass = async {
        while let Some(event) = events.next().await {
            match event.map_err(failed)? {
                ExecEvent::Stdout(piece) => speaker.piece("stdout", &piece, &mut stdout).await,
                ExecEvent::Stderr(piece) => speaker.piece("stderr", &piece, &mut stderr).await,
                ExecEvent::Exit(done) => {
                    speaker.text("stdout", stdout.finish()).await;
                    speaker.text("stderr", stderr.finish()).await;
                    return Ok(done);
                }
            }
        }
        Err(exec_request::lost())
    };
    let hand_on = async {
        speaker.hand_on(to_say, live).await;
        // The command's end is the other's to tell.
        std::future::pending().await
    };
    tokio::select! {
        done = pass => done,
        done = hand_on => done,
    }
}

fn unknown(id: &CommandId) -> PublicError {
    PublicError::not_found("running command", id)
}

fn refusal(id: &CommandId, error: &PublicError) -> Message {
    let mut message = json!(error.body());
    message["id"] = json!(id);
    Message::Json(message)
}
