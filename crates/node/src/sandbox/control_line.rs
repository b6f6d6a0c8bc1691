//! Talking on a guest's control line: bounded lines, timed waits.

use std::time::Duration;

use futures_util::FutureExt;
use pando_guest_protocol::control::{MAX_LINE_BYTES, ToGuest, ToHost};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Lines that may come before the awaited one: a hostile guest may chatter.
const MAX_LINES: usize = 100;

/// How long a line to the guest may wait for room.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// The host's end of a control line.
#[derive(Debug)]
pub(crate) struct ControlLine {
    stream: BufReader<UnixStream>,
}

/// Why the guest was not understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("the guest's control line broke")]
    Io(#[from] std::io::Error),
    #[error("the guest said nothing for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the guest's control line took nothing for {} s", SEND_LIMIT.as_secs())]
    Deaf,
    #[error("the guest could not do it: {0}")]
    Failed(String),
    #[error("the guest said something else")]
    Unexpected,
}

impl ControlLine {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// What [`ToGuest`] is on the wire. The empty line first ends whatever half
    /// line an earlier server left.
    pub(crate) fn encode(message: &ToGuest) -> Vec<u8> {
        let mut bytes = vec![b'\n'];
        bytes.extend(serde_json::to_vec(message).unwrap_or_default());
        bytes.push(b'\n');
        bytes
    }

    pub(crate) async fn send(&mut self, message: &ToGuest) -> Result<(), ControlError> {
        let line = Self::encode(message);
        let sent = timeout(SEND_LIMIT, self.stream.get_mut().write_all(&line)).await;
        Ok(sent.map_err(|_| ControlError::Deaf)??)
    }

    /// Waits until the guest says something that `wanted` takes; returns what it said.
    pub(crate) async fn wait(
        &mut self,
        limit: Duration,
        wanted: impl Fn(&ToHost) -> bool,
    ) -> Result<ToHost, ControlError> {
        let listen = async {
            for _ in 0..MAX_LINES {
                match self.line().await? {
                    Some(ToHost::Failed { message }) => {
                        return Err(ControlError::Failed(crate::quote(&message)));
                    }
                    Some(said) if wanted(&said) => return Ok(said),
                    _ => {}
                }
            }
            Err(ControlError::Unexpected)
        };
        timeout(limit, listen).await.unwrap_or(Err(ControlError::Silent(limit)))
    }

    /// Passes over what was said before anything is asked: an answer that came too late
    /// must not be taken for the next one.
    pub(crate) fn skip_unread(&mut self) {
        for _ in 0..MAX_LINES {
            // Cut off within a line, the rest of it makes no sense to anyone.
            if !matches!(self.line().now_or_never(), Some(Ok(_))) {
                return;
            }
        }
    }

    async fn line(&mut self) -> Result<Option<ToHost>, ControlError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(MAX_LINE_BYTES as u64 + 1);
        let count = limited.read_until(b'\n', &mut line).await?;
        if count == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        Ok(serde_json::from_slice(&line).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_came_too_late_is_none_to_what_is_asked_next() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut line = ControlLine::new(ours);
        let say = |said: &ToHost| [serde_json::to_vec(said).unwrap(), b"\n".to_vec()].concat();
        theirs.write_all(&say(&ToHost::Frozen)).await.unwrap();
        line.stream.get_ref().readable().await.unwrap();
        line.skip_unread();
        let limit = Duration::from_millis(1);
        let none = line.wait(limit, |said| *said == ToHost::Frozen).await;
        assert!(matches!(none, Err(ControlError::Silent(_))), "{none:?}");
        theirs.write_all(&say(&ToHost::Thawed)).await.unwrap();
        line.wait(SEND_LIMIT, |said| *said == ToHost::Thawed).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_vmm_that_never_reads_holds_nobody() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut line = ControlLine::new(ours);
        let attached = ToGuest::Attached { token: "0".repeat(60_000) };
        let refused = async {
            loop {
                if let Err(error) = line.send(&attached).await {
                    return error;
                }
            }
        };
        assert!(matches!(refused.await, ControlError::Deaf));
    }
}
