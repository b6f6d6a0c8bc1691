//! Everything that is asked of an agent and has an answer.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use pando_guest_protocol::log::LogQuery;
use pando_guest_protocol::repl::{Language, MAX_RESULT_BYTES, OpenRepl};

use super::world::{exec, run};
use crate::guest::{ExecInput, Guest, GuestError};

/// No answer is waited for longer than this.
const ANSWER_WITHIN: Duration = Duration::from_secs(130);
/// Removing a tree is work.
const REMOVAL_WITHIN: Duration = Duration::from_secs(610);
/// An agent that says nothing at all is waited for no longer than this.
const SILENCE_WITHIN: Duration = Duration::from_secs(35);
/// In a transfer of files both sides may be slow.
const TRANSFER_SILENCE_WITHIN: Duration = Duration::from_secs(65);
/// What the host may hold of one session.
const MEMORY_BYTES: usize = 8 << 20;

/// What is asked. Those left out go the way of `Ping`: one question, one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Ping,
    List,
    ReadFile,
    WriteFile,
    Remove,
    Exec,
    Start,
    Ports,
    Connect,
    Logs,
    Processes,
    Stats,
    OpenRepl,
    ListRepls,
    CloseRepl,
    RunCell,
}

pub(super) const QUESTIONS: [Question; 16] = [
    Question::Ping,
    Question::List,
    Question::ReadFile,
    Question::WriteFile,
    Question::Remove,
    Question::Exec,
    Question::Start,
    Question::Ports,
    Question::Connect,
    Question::Logs,
    Question::Processes,
    Question::Stats,
    Question::OpenRepl,
    Question::ListRepls,
    Question::CloseRepl,
    Question::RunCell,
];

impl Question {
    pub(super) async fn ask(self, guest: Guest) -> Result<(), GuestError> {
        match self {
            Self::Ping => guest.ping().await,
            Self::List => guest.list("/").await.map(drop),
            Self::ReadFile => {
                let (_, mut bytes) = guest.read_file("/f").await?;
                while let Some(bytes) = bytes.next().await {
                    bytes?;
                }
                Ok(())
            }
            Self::WriteFile => {
                let body = stream::repeat_with(|| Ok::<_, std::io::Error>(block())).take(64);
                guest.write_file("/f", 0o644, body).await.map(drop)
            }
            Self::Remove => guest.remove("/d", true).await,
            Self::Exec => {
                let input = ExecInput::Bytes(block());
                run(&guest, exec("true"), input, 1 << 20).await.map(drop)
            }
            Self::Start => guest.start(exec("true")).await.map(drop),
            Self::Ports => guest.ports().await.map(drop),
            // Nobody listens on its address: it is asked for a relay.
            Self::Connect => guest.connect(9).await.map(drop),
            Self::Logs => {
                let mut lines = guest.logs(LogQuery::default()).await?;
                while let Some(lines) = lines.next().await {
                    lines?;
                }
                Ok(())
            }
            Self::Processes => guest.processes().await.map(drop),
            Self::Stats => guest.stats().await.map(drop),
            Self::OpenRepl => guest.open_repl(open_repl()).await.map(drop),
            Self::ListRepls => guest.repls().await.map(drop),
            Self::CloseRepl => guest.close_repl("0").await,
            Self::RunCell => {
                let limit = Duration::from_secs(1);
                guest.run_cell("0", "1 + 1", limit, 1 << 20).await.map(drop)
            }
        }
    }

    /// Whether it is answered by values until an end, of which there may be none.
    pub(super) fn is_a_list(self) -> bool {
        matches!(self, Self::List | Self::Logs | Self::Processes)
    }

    /// How long an agent that goes on saying something is waited for.
    pub(super) fn answer_within(self) -> Duration {
        if self == Self::Remove { REMOVAL_WITHIN } else { ANSWER_WITHIN }
    }

    /// How long one that says nothing is.
    pub(super) fn silence_within(self) -> Duration {
        match self {
            Self::ReadFile | Self::WriteFile => TRANSFER_SILENCE_WITHIN,
            _ => SILENCE_WITHIN,
        }
    }

    /// What the host may hold of its session. A growing vector doubles.
    pub(super) fn memory_bytes(self) -> usize {
        match self {
            Self::RunCell => MEMORY_BYTES + 3 * MAX_RESULT_BYTES,
            _ => MEMORY_BYTES,
        }
    }
}

fn open_repl() -> OpenRepl {
    OpenRepl { language: Language::Python, cwd: None, env: Default::default(), user: None }
}

fn block() -> Bytes {
    static BLOCK: [u8; 256 * 1024] = [7; 256 * 1024];
    Bytes::from_static(&BLOCK)
}
