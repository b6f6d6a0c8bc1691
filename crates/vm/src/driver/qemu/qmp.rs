//! A client of QEMU's machine protocol: one JSON object a line over a Unix socket.
//!
//! The few commands used are in QEMU's QMP reference manual
//! (<https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html>). A VMM may have
//! been taken over by its guest, so every line is bounded and every wait timed.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::driver::VmError;

/// The longest line that is read from a VMM.
const MAX_LINE_BYTES: u64 = 1024 * 1024;
/// How many lines (events among them) may come before a command's answer.
const MAX_LINES_PER_ANSWER: usize = 1000;
/// How long a command may take. `stop` waits for disk writes that are under way.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection in command mode. After any error it is of no more use.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Reads the greeting on a fresh connection and enters command mode.
    pub(super) async fn handshake(stream: UnixStream) -> Result<Self, VmError> {
        let mut qmp = Self { stream: BufReader::new(stream) };
        let greeting = async {
            let line = qmp.line().await?;
            if line.get("QMP").is_some() {
                Ok(())
            } else {
                Err(VmError::Protocol("no greeting".into()))
            }
        };
        within("greeting", greeting).await?;
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Runs one command and returns what it returned.
    pub(super) async fn execute(
        &mut self,
        command: &str,
        arguments: Value,
    ) -> Result<Value, VmError> {
        let mut request = json!({ "execute": command, "arguments": arguments }).to_string();
        request.push('\n');
        within(command, async {
            self.stream
                .get_mut()
                .write_all(request.as_bytes())
                .await
                .map_err(VmError::io(format!("cannot send `{command}` to the VMM")))?;
            for _ in 0..MAX_LINES_PER_ANSWER {
                let mut line = self.line().await?;
                if let Some(value) = line.get_mut("return") {
                    return Ok(value.take());
                }
                if let Some(error) = line.get("error") {
                    let message = plain(error["desc"].as_str().unwrap_or("no reason given"));
                    return Err(VmError::Refused { command: command.to_owned(), message });
                }
            }
            Err(VmError::Protocol(format!(
                "no answer to `{command}` among {MAX_LINES_PER_ANSWER} lines"
            )))
        })
        .await
    }

    /// Hands over a descriptor, and returns the path under which the VMM opens it
    /// while this connection lasts.
    pub(super) async fn give(&mut self, fd: BorrowedFd<'_>) -> Result<String, VmError> {
        const COMMAND: &str = "add-fd";
        // The descriptor travels with these bytes; the monitor skips white space.
        let sending = self.stream.get_ref().async_io(Interest::WRITABLE, || {
            Ok(send_with(self.stream.get_ref().as_fd(), b" ", fd)?)
        });
        within(COMMAND, async {
            sending.await.map_err(VmError::io("cannot hand a file to the VMM"))
        })
        .await?;
        let given = self.execute(COMMAND, json!({})).await?;
        let set = given["fdset-id"].as_u64();
        let set = set.ok_or_else(|| VmError::Protocol("no file set".into()))?;
        Ok(format!("/dev/fdset/{set}"))
    }

    async fn line(&mut self) -> Result<Value, VmError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(MAX_LINE_BYTES);
        let count = limited
            .read_until(b'\n', &mut line)
            .await
            .map_err(VmError::io("cannot read from the VMM"))?;
        if count == 0 {
            return Err(VmError::Protocol("it closed the connection".into()));
        }
        if line.last() != Some(&b'\n') {
            return Err(VmError::Protocol("a line that is too long or cut off".into()));
        }
        serde_json::from_slice(&line)
            .map_err(|_| VmError::Protocol("a line that is not JSON".into()))
    }
}

fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).map(drop)
}

async fn within<T>(
    command: &str,
    work: impl Future<Output = Result<T, VmError>>,
) -> Result<T, VmError> {
    timeout(COMMAND_TIMEOUT, work).await.unwrap_or_else(|_| {
        Err(VmError::Timeout { command: command.to_owned(), seconds: COMMAND_TIMEOUT.as_secs() })
    })
}

/// What a VMM said, fit for a row and a log: the beginning, without control characters.
/// It may be its guest's by now.
fn plain(said: &str) -> String {
    const MAX_CHARS: usize = 300;
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn against(script: &'static [u8]) -> Result<Value, VmError> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let peer = tokio::spawn(async move {
            theirs.write_all(script).await.unwrap();
            let mut sink = Vec::new();
            let _ = theirs.read_to_end(&mut sink).await;
        });
        let answer = async { Qmp::handshake(ours).await?.execute("stop", json!({})).await }.await;
        peer.abort();
        answer
    }

    const HELLO: &str = "{\"QMP\": {\"version\": {}}}\r\n{\"return\": {}}\r\n";

    #[tokio::test]
    async fn events_before_the_answer_are_skipped() {
        let script = format!("{HELLO}{{\"event\": \"STOP\"}}\r\n{{\"return\": {{\"x\": 1}}}}\r\n");
        assert_eq!(against(script.leak().as_bytes()).await.unwrap(), json!({"x": 1}));
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_reason() {
        let script = format!("{HELLO}{{\"error\": {{\"class\": \"E\", \"desc\": \"busy\"}}}}\n");
        let error = against(script.leak().as_bytes()).await.unwrap_err();
        assert_eq!(error.to_string(), "the VMM refused `stop`: busy");
    }

    #[tokio::test]
    async fn of_a_long_refusal_the_beginning_is_kept_without_control_characters() {
        let long = format!("\\u001b[2J{}", "x".repeat(500_000));
        let script = format!("{HELLO}{{\"error\": {{\"class\": \"E\", \"desc\": \"{long}\"}}}}\n");
        let said = against(script.leak().as_bytes()).await.unwrap_err().to_string();
        assert!(said.starts_with("the VMM refused `stop`:  [2Jxxx") && said.len() < 400, "{said}");
    }

    #[tokio::test]
    async fn an_endless_line_is_an_error() {
        let script: &'static [u8] = vec![b'x'; 2 * 1024 * 1024].leak();
        assert!(matches!(against(script).await, Err(VmError::Protocol(_))));
    }

    #[tokio::test]
    async fn a_flood_of_events_is_an_error() {
        let flood = "{\"event\": \"X\"}\n".repeat(MAX_LINES_PER_ANSWER + 1);
        let script = format!("{HELLO}{flood}");
        assert!(matches!(against(script.leak().as_bytes()).await, Err(VmError::Protocol(_))));
    }
}
