//! The first bytes of a connection tell its protocol.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What an HTTP/2 client says first (RFC 9113 section 3.4); no HTTP/1.1 request
/// begins like this.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Room for the head of a usual request.
const FIRST_READ_BYTES: usize = 4096;

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Reads until the protocol is certain; returns what was read with it. `None` if
/// the client closed before it said anything.
pub(crate) async fn read_opening(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(Protocol, BytesMut)>> {
    let mut first = BytesMut::with_capacity(FIRST_READ_BYTES);
    loop {
        if stream.read_buf(&mut first).await? == 0 {
            return Ok((!first.is_empty()).then_some((Protocol::Http1, first)));
        }
        if let Some(protocol) = protocol_of(&first) {
            return Ok(Some((protocol, first)));
        }
    }
}

/// The protocol that begins like `first`; `None` while it may be either.
fn protocol_of(first: &[u8]) -> Option<Protocol> {
    let common = first.len().min(PREFACE.len());
    if first.get(..common) != PREFACE.get(..common) {
        return Some(Protocol::Http1);
    }
    (first.len() >= PREFACE.len()).then_some(Protocol::Http2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_alone_is_http2() {
        assert_eq!(protocol_of(PREFACE), Some(Protocol::Http2));
        assert_eq!(protocol_of(&[PREFACE, b"\0\0"].concat()), Some(Protocol::Http2));
        assert_eq!(protocol_of(b"G"), Some(Protocol::Http1));
        assert_eq!(protocol_of(b"PRI / HTTP/1.1\r\n"), Some(Protocol::Http1));
        assert_eq!(protocol_of(b"PRI * HTT"), None);
        assert_eq!(protocol_of(b""), None);
    }

    #[tokio::test]
    async fn what_was_read_is_returned() {
        let (mut client, mut server) = tokio::io::duplex(8);
        let opening = tokio::spawn(async move { read_opening(&mut server).await });
        tokio::io::AsyncWriteExt::write_all(&mut client, PREFACE).await.unwrap();
        let (protocol, first) = opening.await.unwrap().unwrap().unwrap();
        assert_eq!((protocol, first.as_ref()), (Protocol::Http2, PREFACE));
    }
}
