//! `multipart/form-data` (RFC 7578), read part by part as it comes. What is held of a body
//! is what one piece of it and the headers of one part take, however fast it comes.
//!
//! Not multer, which axum's `Multipart` stands on (3.1): it holds all of a body that is there,
//! bounds the headers of a part by the whole body alone, of which a root file system has
//! 16 GiB, and reads no `name*` (RFC 8187), as which reqwest, and so `pando`, sends a path.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use memchr::memmem;
use pando_types::{Code, PublicError};

/// The longest boundary (RFC 2046).
const MAX_BOUNDARY_BYTES: usize = 70;
/// The headers of one part.
const MAX_HEADERS_BYTES: usize = 16 * 1024;
/// What may follow a boundary on its line.
const MAX_PADDING_BYTES: usize = 256;

/// What the head of a part says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// The file's name, of a file.
    pub filename: Option<String>,
    /// Its headers, the names in lower case.
    headers: Vec<(String, String)>,
}

impl Part {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The parts of a body.
pub struct Parts<S> {
    body: S,
    held: BytesMut,
    delimiter: Vec<u8>,
}

/// The boundary that a content type names; `None` when it is none of a form.
pub fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary")?;
    ((1..=MAX_BOUNDARY_BYTES).contains(&boundary.len())).then_some(boundary)
}

impl<S, E> Parts<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// The parts of `body`, which `boundary` divides.
    pub fn new(body: S, boundary: &str) -> Self {
        // The first boundary has no line before it.
        let held = BytesMut::from(&b"\r\n"[..]);
        Self { body, held, delimiter: format!("\r\n--{boundary}").into_bytes() }
    }

    /// The head of the next part; what is left of the one before is passed over.
    pub async fn next(&mut self) -> Result<Option<Part>, PublicError> {
        while self.piece().await?.is_some() {}
        let _ = self.held.split_to(self.delimiter.len());
        let line = loop {
            if self.held.starts_with(b"--") {
                return Ok(None);
            }
            match memmem::find(&self.held, b"\r\n") {
                Some(end) => break end,
                None if self.held.len() > MAX_PADDING_BYTES => return Err(broken("a boundary")),
                None => self.more().await?,
            }
        };
        // What is left begins with the end of the boundary's line, so that a part without
        // headers looks like others.
        let _ = self.held.split_to(line);
        let end = loop {
            match memmem::find(&self.held, b"\r\n\r\n") {
                Some(end) => break end,
                None if self.held.len() > MAX_HEADERS_BYTES => {
                    return Err(broken("the headers of a part"));
                }
                None => self.more().await?,
            }
        };
        let head = self.held.split_to(end + 2);
        // The empty line. The one after it is the part's, whose delimiter may begin with it.
        let _ = self.held.split_to(2);
        let text = std::str::from_utf8(&head).map_err(|_| broken("the headers of a part"))?;
        head_of(text).map(Some)
    }

    /// More of the part; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, PublicError> {
        loop {
            match memmem::find(&self.held, &self.delimiter) {
                Some(0) => return Ok(None),
                Some(end) => return Ok(Some(self.held.split_to(end).freeze())),
                None => {}
            }
            // A delimiter may have begun at the end of what is here.
            let sure = self.held.len().saturating_sub(self.delimiter.len() - 1);
            if sure > 0 {
                return Ok(Some(self.held.split_to(sure).freeze()));
            }
            self.more().await?;
        }
    }

    /// The text of a part, at most so long.
    pub async fn text(&mut self, name: &str, limit_bytes: usize) -> Result<String, PublicError> {
        let mut text = Vec::new();
        while let Some(piece) = self.piece().await? {
            if text.len() + piece.len() > limit_bytes {
                let message = format!("`{name}` has {limit_bytes} bytes at most");
                return Err(PublicError::invalid(name, message));
            }
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text)
            .map_err(|_| PublicError::invalid(name, format!("`{name}` must be UTF-8")))
    }

    async fn more(&mut self) -> Result<(), PublicError> {
        match self.body.next().await {
            Some(Ok(bytes)) => {
                self.held.extend_from_slice(&bytes);
                Ok(())
            }
            Some(Err(_)) | None => {
                let message = "the body ended before it was complete";
                Err(PublicError::new(Code::InvalidRequest, message))
            }
        }
    }
}

fn broken(what: &str) -> PublicError {
    let message = format!("the body is not multipart/form-data: {what} cannot be read");
    PublicError::new(Code::InvalidRequest, message)
}

fn head_of(text: &str) -> Result<Part, PublicError> {
    let mut headers = Vec::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(|| broken("a header"))?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut part = Part { name: String::new(), filename: None, headers };
    let disposition = part.header("content-disposition").unwrap_or_default();
    let (_, parameters) =
        disposition.split_once(';').ok_or_else(|| broken("the name of a part"))?;
    let name = parameter(parameters, "name").ok_or_else(|| broken("the name of a part"))?;
    part.filename = parameter(parameters, "filename");
    part.name = name;
    Ok(part)
}

/// The value of a parameter: a token, a quoted string, or percent-encoded UTF-8 under a name
/// with a star (RFC 8187).
fn parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    let mut found = None;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim_end().to_owned(), &after[end..])
            }
        };
        rest = after;
        let key = key.trim();
        if key.eq_ignore_ascii_case(name) {
            found.get_or_insert(value);
        } else if key.strip_suffix('*').is_some_and(|key| key.eq_ignore_ascii_case(name)) {
            let encoded = value.get(..7).filter(|head| head.eq_ignore_ascii_case("utf-8''"));
            return crate::query::percent_decoded(value.strip_prefix(encoded?)?);
        }
        if rest.trim_matches([';', ' ', '\t']).is_empty() {
            return found;
        }
    }
}

/// A quoted string up to its end, and what follows. A backslash stands before a quote or
/// another; before anything else it is itself, as in a path of Windows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, next)) => value.push(next),
                None => value.push('\\'),
            },
            character => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use proptest::prelude::*;

    type Read = Vec<(String, Option<String>, Vec<u8>)>;

    async fn read(body: &[u8], size: usize) -> Result<Read, PublicError> {
        let pieces: Vec<_> = body
            .chunks(size)
            .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
            .collect();
        let mut parts = Parts::new(stream::iter(pieces), "B");
        let mut all = Vec::new();
        while let Some(part) = parts.next().await? {
            let mut bytes = Vec::new();
            while let Some(piece) = parts.piece().await? {
                bytes.extend_from_slice(&piece);
            }
            all.push((part.name, part.filename, bytes));
        }
        Ok(all)
    }

    const BODY: &[u8] = b"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n\
        --B \r\ncontent-disposition: form-data; name=\"d/e f\"; filename=\"d/e f\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n\r\n--C\r\n--\r\n-\r\n\
        --B\r\nContent-Disposition: form-data; name=x; filename*=utf-8''%C3%A4\r\n\r\n\r\n--B--\r\n";

    #[tokio::test]
    async fn parts_come_out_whole_however_they_are_cut() {
        let want = [
            ("a".to_owned(), None, b"one".to_vec()),
            ("d/e f".to_owned(), Some("d/e f".to_owned()), b"\r\n--C\r\n--\r\n-".to_vec()),
            ("x".to_owned(), Some("ä".to_owned()), Vec::new()),
        ];
        for size in 1..BODY.len() {
            assert_eq!(read(BODY, size).await.unwrap(), want, "cut every {size} bytes");
        }
        // A part that nobody reads is passed over.
        let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(BODY))]);
        let mut parts = Parts::new(body, "B");
        for name in ["a", "d/e f", "x"] {
            assert_eq!(parts.next().await.unwrap().unwrap().name, name);
        }
        assert_eq!(parts.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_cut_off_or_endless_is_refused() {
        for end in 0..BODY.len() - 4 {
            assert!(read(&BODY[..end], 7).await.is_err(), "{end}");
        }
        let endless = [b"--B\r\nx: ", &vec![b'x'; 2 * MAX_HEADERS_BYTES][..]].concat();
        assert!(read(&endless, 1000).await.unwrap_err().message.contains("headers"));
        let padded = [b"--B", &vec![b' '; 2000][..]].concat();
        assert!(read(&padded, 100).await.unwrap_err().message.contains("boundary"));
        let nameless = b"--B\r\nContent-Type: x\r\n\r\n\r\n--B--";
        assert!(read(nameless, 100).await.unwrap_err().message.contains("name"));
        let bare = b"--B\r\n\r\nx\r\n--B--";
        assert!(read(bare, 100).await.is_err());
    }

    #[tokio::test]
    async fn a_text_is_bounded() {
        let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(BODY))]);
        let mut parts = Parts::new(body, "B");
        parts.next().await.unwrap();
        assert_eq!(parts.text("a", 2).await.unwrap_err().field.as_deref(), Some("a"));
    }

    #[test]
    fn parameters_are_tokens_or_quoted() {
        assert_eq!(boundary("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(
            boundary("Multipart/Form-Data; x=\"1;2\"; boundary=\"a b\"").as_deref(),
            Some("a b")
        );
        for none in [
            "multipart/form-data",
            "multipart/mixed; boundary=a",
            "multipart/form-data; boundary=",
            "text/plain",
        ] {
            assert_eq!(boundary(none), None, "{none}");
        }
        assert_eq!(parameter(" name=\"a\\\"b\\c\"", "name").as_deref(), Some("a\"b\\c"));
        assert_eq!(parameter(" name=\"a", "name"), None);
        assert_eq!(parameter(" filename=\"a\"", "name"), None);
    }

    proptest! {
        #[test]
        fn any_head_is_taken(text in "(content-disposition: form-data;)?.{0,60}") {
            let _ = head_of(&text);
            let _ = boundary(&text);
        }
    }
}
