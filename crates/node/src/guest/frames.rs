//! What a session's agent says, without holding more of it than is counted.

use pando_guest_protocol::frame::{self, Frame, FrameError, Header, Kind};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::client::GuestError;
use crate::held::{Account, Charge, NoRoom};

/// The bytes of a command's output that are passed on at once: whoever makes text and
/// JSON of them holds several times as much.
pub(super) const PIECE_BYTES: usize = 8 * 1024;
/// A frame up to this length is counted with the request that it answers.
const SMALL_BYTES: usize = 16 * 1024;
/// What each byte of a longer one is counted with, while it is read and understood.
const EACH_BYTE: usize = 2;

/// Counts what is `length` bytes long with `each_byte` for each of them, unless it is small.
pub(super) fn charge(account: &Account, length: usize, each_byte: usize) -> Result<Charge, NoRoom> {
    account.take(if length > SMALL_BYTES { each_byte * length } else { 0 })
}

/// Reads frames. Not cancel-safe.
#[derive(Debug)]
pub(super) struct Frames {
    /// The longest piece of `Data`, `Stdout` and `Stderr`, where these come in pieces.
    piece_bytes: Option<usize>,
    /// What is left of such a frame.
    rest: Option<Header>,
    account: Account,
    /// For the frame that was read last, where it was whole and long.
    charge: Charge,
}

impl Frames {
    /// Reads every frame whole.
    pub(super) fn whole(account: &Account) -> Self {
        let (account, charge) = (account.clone(), account.nothing());
        Self { piece_bytes: None, rest: None, account, charge }
    }

    /// Reads frames of bytes as several that are not longer than this. It is for
    /// whoever reads them to count these.
    pub(super) fn in_pieces(account: &Account, piece_bytes: usize) -> Self {
        Self { piece_bytes: Some(piece_bytes), ..Self::whole(account) }
    }

    /// The next frame, which must be there. The one before it is not counted any more.
    pub(super) async fn next<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
    ) -> Result<Frame, GuestError> {
        self.charge.shrink_to(0);
        let header = match self.rest.take() {
            Some(rest) => rest,
            None => frame::read_header(reader).await?.ok_or(FrameError::Ended)?,
        };
        let is_bytes = matches!(header.kind, Kind::Data | Kind::Stdout | Kind::Stderr);
        let length = match self.piece_bytes.filter(|_| is_bytes) {
            Some(piece_bytes) => {
                let length = header.length.min(piece_bytes);
                let rest = header.length - length;
                self.rest = (rest > 0).then_some(Header { length: rest, ..header });
                length
            }
            None => {
                self.charge = charge(&self.account, header.length, EACH_BYTE)?;
                header.length
            }
        };
        let mut payload = vec![0; length];
        reader.read_exact(&mut payload).await.map_err(FrameError::from)?;
        Ok(Frame { kind: header.kind, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held::Budget;

    async fn said(frames: &[(Kind, usize)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, length) in frames {
            frame::write(&mut bytes, *kind, &vec![7; *length]).await.unwrap();
        }
        bytes
    }

    #[tokio::test]
    async fn bytes_come_in_pieces_and_the_rest_whole() {
        let budget = Budget::new(1 << 20);
        let mut frames = Frames::in_pieces(&budget.account(None), 10);
        let said = said(&[(Kind::Stdout, 25), (Kind::Data, 0), (Kind::Reply, 25)]).await;
        let mut reader = said.as_slice();
        let mut read = Vec::new();
        while let Ok(frame) = frames.next(&mut reader).await {
            read.push((frame.kind, frame.payload.len()));
        }
        let want = [(Kind::Stdout, 10), (Kind::Stdout, 10), (Kind::Stdout, 5), (Kind::Data, 0)];
        assert_eq!(read[..4], want);
        assert_eq!(read[4..], [(Kind::Reply, 25)]);
        assert_eq!(budget.taken_bytes(), 0);
    }

    #[tokio::test]
    async fn a_long_frame_is_counted_until_the_next_or_not_read() {
        let budget = Budget::new(4 * EACH_BYTE * SMALL_BYTES);
        let mut frames = Frames::whole(&budget.account(None));
        let long = SMALL_BYTES + 1;
        let said = said(&[(Kind::Data, long), (Kind::Data, 1), (Kind::Data, 8 * long)]).await;
        let mut reader = said.as_slice();
        frames.next(&mut reader).await.unwrap();
        assert_eq!(budget.taken_bytes(), EACH_BYTE * long);
        frames.next(&mut reader).await.unwrap();
        assert_eq!(budget.taken_bytes(), 0);
        let refused = frames.next(&mut reader).await;
        assert!(matches!(refused, Err(GuestError::NoRoom(NoRoom))), "{refused:?}");
    }
}
