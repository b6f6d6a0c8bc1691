//! The body of an app's answer, read from its connection as the client takes it.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};

use super::answer::Ahead;
use super::{READ_BYTES, Wire};
use crate::chunks::Chunks;
use crate::limits::{MAX_HEADER_BYTES, MAX_HEADERS};

/// The most that is read at once of a body that is large.
const LARGE_READ_BYTES: usize = 64 * 1024;

/// The body, on its connection.
#[derive(Debug)]
pub(crate) struct WireDownload {
    wire: Wire,
    left: Left,
    keeps: bool,
    /// How much is read at once: more and more, while the app fills it.
    room: usize,
}

#[derive(Debug)]
enum Left {
    Length(u64),
    Chunked {
        chunks: Chunks,
        trailers: BytesMut,
    },
    /// All there is until the connection ends.
    Rest,
    Nothing,
    /// The body broke off; the connection is of no use any more.
    Broken,
}

impl WireDownload {
    pub(crate) fn new(wire: Wire, ahead: Ahead, keeps: bool) -> Self {
        let left = match ahead {
            Ahead::Length(0) => Left::Nothing,
            Ahead::Length(length) => Left::Length(length),
            Ahead::Chunked => Left::Chunked { chunks: Chunks::Begin, trailers: BytesMut::new() },
            Ahead::Rest => Left::Rest,
        };
        Self { wire, left, keeps, room: READ_BYTES }
    }

    /// The connection, if the body was read to its end and another request may
    /// follow it.
    pub(crate) fn into_kept(self) -> Option<Wire> {
        let is_over = matches!(self.left, Left::Nothing);
        // What came unasked would be taken for the next answer.
        if !(is_over && self.keeps && self.wire.buf.is_empty()) {
            return None;
        }
        let mut wire = self.wire;
        if self.room > READ_BYTES {
            wire.buf = BytesMut::new();
        }
        Some(wire)
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            match self.take_frame() {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) => {}
                Err(error) => {
                    self.left = Left::Broken;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            if matches!(self.left, Left::Nothing | Left::Broken) {
                return Poll::Ready(None);
            }
            match ready!(self.wire.poll_fill(cx, self.room)) {
                Ok(count @ 1..) => {
                    if count >= self.room {
                        self.room = (2 * self.room).min(LARGE_READ_BYTES);
                    }
                }
                Ok(0) if matches!(self.left, Left::Rest) => self.left = Left::Nothing,
                ended => {
                    self.left = Left::Broken;
                    let error = ended.err().unwrap_or(io::ErrorKind::UnexpectedEof.into());
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// The next frame of what is in the buffer.
    fn take_frame(&mut self) -> io::Result<Option<Frame<Bytes>>> {
        let buf = &mut self.wire.buf;
        match &mut self.left {
            Left::Nothing | Left::Broken => Ok(None),
            Left::Length(left) => {
                let data = split_data(buf, *left);
                *left -= data.len() as u64;
                if *left == 0 {
                    self.left = Left::Nothing;
                }
                Ok((!data.is_empty()).then(|| Frame::data(data)))
            }
            Left::Rest => {
                let data = buf.split().freeze();
                Ok((!data.is_empty()).then(|| Frame::data(data)))
            }
            Left::Chunked { chunks, trailers } => {
                if !pass_framing(buf, chunks, trailers)? {
                    if let Chunks::Data(left) = *chunks {
                        let data = split_data(buf, left);
                        *chunks = Chunks::after_data(left - data.len() as u64);
                        return Ok((!data.is_empty()).then(|| Frame::data(data)));
                    }
                    return Ok(None);
                }
                let trailers = std::mem::take(trailers).freeze();
                self.left = Left::Nothing;
                let trailers = read_trailers(&trailers).ok_or(io::ErrorKind::InvalidData)?;
                Ok((!trailers.is_empty()).then(|| Frame::trailers(trailers)))
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        matches!(self.left, Left::Nothing)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.left {
            Left::Length(left) => SizeHint::with_exact(left),
            Left::Nothing => SizeHint::with_exact(0),
            Left::Chunked { .. } | Left::Rest | Left::Broken => SizeHint::default(),
        }
    }
}

/// Takes up to `most` bytes out of `buf`.
fn split_data(buf: &mut BytesMut, most: u64) -> Bytes {
    let count = usize::try_from(most).unwrap_or(usize::MAX).min(buf.len());
    buf.split_to(count).freeze()
}

/// Takes out of `buf` what stands between data; whether the body ended there.
fn pass_framing(
    buf: &mut BytesMut,
    chunks: &mut Chunks,
    trailers: &mut BytesMut,
) -> io::Result<bool> {
    let mut passed = 0;
    let mut ended = false;
    for &byte in buf.iter() {
        if ended || matches!(chunks, Chunks::Data(_)) {
            break;
        }
        if chunks.is_in_trailers() {
            trailers.extend_from_slice(&[byte]);
            if trailers.len() > MAX_HEADER_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        match chunks.next(byte).map_err(|_| io::ErrorKind::InvalidData)? {
            Some(next) => *chunks = next,
            None => ended = true,
        }
        passed += 1;
    }
    buf.advance(passed);
    Ok(ended)
}

fn read_trailers(bytes: &Bytes) -> Option<HeaderMap> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let httparse::Status::Complete((_, lines)) = httparse::parse_headers(bytes, &mut lines).ok()?
    else {
        return None;
    };
    let mut trailers = HeaderMap::with_capacity(lines.len());
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(line.value)).ok()?;
        trailers.append(name, value);
    }
    Some(trailers)
}
