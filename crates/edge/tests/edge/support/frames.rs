//! An HTTP/2 client that writes frames by hand, for what no library would send.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Stand, within};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// One connection.
pub struct Frames {
    pub stream: TcpStream,
    read: Vec<u8>,
}

/// One frame of the server's.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Answer(u16),
    Reset(u32),
    /// The whole connection ended, with this reason.
    GoAway(u32),
    Closed,
}

/// A frame as bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A list of headers, each spelled out (RFC 7541 section 6.2.2).
pub fn block(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in lines {
        bytes.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "longer texts need another length");
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

impl Frames {
    pub async fn connect(stand: &Stand, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(stand.address).await.unwrap();
        let mut frames = Self { stream, read: Vec::new() };
        frames.bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        frames.settings(settings).await;
        frames
    }

    /// Fails once the server has closed.
    pub async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        within(self.stream.write_all(bytes)).await
    }

    pub async fn settings(&mut self, settings: &[(u16, u32)]) {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| {
                [name.to_be_bytes().to_vec(), value.to_be_bytes().to_vec()].concat()
            })
            .collect();
        self.bytes(&frame(SETTINGS, 0, 0, &payload)).await.unwrap();
    }

    /// A whole head; `flags` beside the end of headers.
    pub async fn headers(&mut self, stream: u32, flags: u8, lines: &[(&str, &str)]) {
        self.bytes(&frame(HEADERS, flags | END_HEADERS, stream, &block(lines))).await.unwrap();
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        let head = self.exactly(9).await?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let payload = self.exactly(number(&head[..3]) as usize).await?;
        Some(Frame { kind: head[3], stream: number(&head[5..]), payload })
    }

    /// Reads until it is clear what comes of `stream`.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        while let Some(frame) = self.next().await {
            match frame.kind {
                HEADERS if frame.stream == stream => {
                    return Outcome::Answer(status(frame.payload[0]));
                }
                RST_STREAM if frame.stream == stream => {
                    return Outcome::Reset(number(&frame.payload));
                }
                GOAWAY if frame.payload[4..8] != [0; 4] => {
                    return Outcome::GoAway(number(&frame.payload[4..8]));
                }
                _ => {}
            }
        }
        Outcome::Closed
    }

    async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.read.len() < count {
            if !within(self.stream.read_buf(&mut self.read)).await.is_ok_and(|read| read > 0) {
                return None;
            }
        }
        Some(self.read.drain(..count).collect())
    }
}

/// A status by its place in the static table (RFC 7541 appendix A); 0 for others.
fn status(first: u8) -> u16 {
    match first & 0x7f {
        8 => 200,
        9 => 204,
        11 => 304,
        12 => 400,
        13 => 404,
        14 => 500,
        _ => 0,
    }
}
