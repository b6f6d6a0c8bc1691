//! A request without a body, as bytes. Pure.

use bytes::{BufMut, BytesMut};
use http::{Method, Request, header};

/// Room for the head of a usual request.
const HEAD_BYTES: usize = 1024;

/// Writes the head. Header values and the target were bytes of a head before, so
/// they hold no line's end.
pub(super) fn encode(request: &Request<()>) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(HEAD_BYTES);
    bytes.put_slice(request.method().as_str().as_bytes());
    bytes.put_u8(b' ');
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    bytes.put_slice(target.as_bytes());
    bytes.put_slice(b" HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        bytes.put_slice(name.as_str().as_bytes());
        bytes.put_slice(b": ");
        bytes.put_slice(value.as_bytes());
        bytes.put_slice(b"\r\n");
    }
    let means_a_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if means_a_body && !request.headers().contains_key(header::CONTENT_LENGTH) {
        bytes.put_slice(b"content-length: 0\r\n");
    }
    bytes.put_slice(b"\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_written() {
        let request = |method, target| {
            let request = Request::builder().method(method).uri(target).header("a", "b");
            let request = request.header("a", "c").body(()).unwrap();
            String::from_utf8(encode(&request).to_vec()).unwrap()
        };
        assert_eq!(request("GET", "/x?y=z"), "GET /x?y=z HTTP/1.1\r\na: b\r\na: c\r\n\r\n");
        assert_eq!(request("OPTIONS", "*"), "OPTIONS * HTTP/1.1\r\na: b\r\na: c\r\n\r\n");
        let post = request("POST", "/");
        assert_eq!(post, "POST / HTTP/1.1\r\na: b\r\na: c\r\ncontent-length: 0\r\n\r\n");
    }
}
