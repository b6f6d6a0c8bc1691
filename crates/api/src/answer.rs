//! Large answers, written as they are made: what a guest said is kept as it came, and
//! becomes text and JSON in small pieces, when the client takes them. A NUL, which JSON
//! spells in six letters, is one byte until then.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::iter;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use pando_node::held::Held;
use serde::Serialize;

use crate::utf8::Utf8Pieces;

/// The bytes that are turned into text and JSON at once, and the least that is sent at
/// once while more follows.
const PIECE_BYTES: usize = 8 * 1024;

/// A JSON object, field by field in the order they are added.
pub struct Answer {
    parts: VecDeque<Part>,
}

type Part = Box<dyn Iterator<Item = Vec<u8>> + Send>;

impl Answer {
    /// One without fields.
    pub fn new() -> Self {
        Self { parts: VecDeque::new() }
    }

    /// A field of little.
    pub fn value(self, name: &'static str, value: &impl Serialize) -> Self {
        let json = json(value);
        self.field(name, iter::once(json))
    }

    /// The fields of a struct of little.
    pub fn fields(mut self, value: &impl Serialize) -> Self {
        let mut json = json(value);
        json.pop();
        if let Some(brace) = json.first_mut().filter(|_| !self.parts.is_empty()) {
            *brace = b',';
        }
        self.parts.push_back(Box::new(iter::once(json)));
        self
    }

    /// A text. Bytes that are not UTF-8 become U+FFFD.
    pub fn text(self, name: &'static str, text: Held<Vec<u8>>) -> Self {
        self.field(name, quoted(b"\"", escaped(text), b"\""))
    }

    /// A list.
    pub fn list<T: Serialize>(
        self,
        name: &'static str,
        items: impl Iterator<Item = T> + Send + 'static,
    ) -> Self {
        let mut separator = None;
        let items = items.map(move |item| {
            let mut text: Vec<u8> = separator.replace(b',').into_iter().collect();
            text.extend(json(&item));
            text
        });
        self.field(name, quoted(b"[", items, b"]"))
    }

    /// All there is, on one page: a [`List`](pando_types::page::List).
    pub fn whole_list<T: Serialize>(items: impl Iterator<Item = T> + Send + 'static) -> Self {
        Self::new().list("items", items).value("next_cursor", &None::<String>)
    }

    /// A list of what is JSON already, a newline between each two.
    pub fn lines(self, name: &'static str, lines: Held<Vec<u8>>) -> Self {
        let mut start = 0;
        let items = iter::from_fn(move || {
            let end = lines.len().min(start + PIECE_BYTES);
            let piece = lines.get(start..end).filter(|piece| !piece.is_empty())?;
            start = end;
            // Within a line there is none: JSON spells it.
            Some(piece.iter().map(|byte| if *byte == b'\n' { b',' } else { *byte }).collect())
        });
        self.field(name, quoted(b"[", items, b"]"))
    }

    fn field(
        mut self,
        name: &'static str,
        value: impl Iterator<Item = Vec<u8>> + Send + 'static,
    ) -> Self {
        let before = if self.parts.is_empty() { '{' } else { ',' };
        let name = format!("{before}\"{name}\":").into_bytes();
        self.parts.push_back(Box::new(iter::once(name).chain(value)));
        self
    }

    /// The text of it. What a part held is given back when it was told.
    fn told(mut self) -> impl Iterator<Item = Vec<u8>> + Send {
        self.parts.push_back(Box::new(iter::once(b"}".to_vec())));
        iter::from_fn(move || {
            while let Some(part) = self.parts.front_mut() {
                if let Some(text) = part.next() {
                    return Some(text);
                }
                self.parts.pop_front();
            }
            None
        })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(body(self.told()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

/// A body that is made of these texts as it is taken. A short one has a length.
pub fn body(texts: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Body {
    let mut pieces = pieces(texts);
    let first = pieces.next().unwrap_or_default();
    match pieces.next() {
        None => Body::from(first),
        Some(second) => {
            let pieces = [first, second].into_iter().chain(pieces);
            Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)))
        }
    }
}

/// Puts texts together that are short.
pub fn pieces(texts: impl Iterator<Item = Vec<u8>> + Send) -> impl Iterator<Item = Bytes> + Send {
    let mut texts = texts.fuse();
    iter::from_fn(move || {
        let mut piece = texts.next()?;
        while piece.len() < PIECE_BYTES
            && let Some(text) = texts.next()
        {
            piece.extend(text);
        }
        Some(Bytes::from(piece))
    })
}

fn quoted(
    begin: &'static [u8],
    texts: impl Iterator<Item = Vec<u8>> + Send + 'static,
    end: &'static [u8],
) -> impl Iterator<Item = Vec<u8>> + Send + 'static {
    iter::once(begin.to_vec()).chain(texts).chain(iter::once(end.to_vec()))
}

/// What stands between the quotes of a JSON string.
fn escaped(text: Held<Vec<u8>>) -> impl Iterator<Item = Vec<u8>> + Send {
    let (mut start, mut utf8) = (0, Utf8Pieces::default());
    let mut whole = Some(text);
    iter::from_fn(move || {
        let text = whole.as_ref()?;
        let end = text.len().min(start + PIECE_BYTES);
        let mut decoded = utf8.push(&text[start..end]);
        start = end;
        if end == text.len() {
            decoded.push_str(&utf8.finish());
            whole = None;
        }
        let mut json = json(&decoded);
        json.pop();
        json.remove(0);
        Some(json)
    })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // The values are plain structs of strings and numbers, which always serialise.
    serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_node::held::Budget;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn held(budget: &Budget, bytes: &[u8]) -> Held<Vec<u8>> {
        let mut held = Held::nothing(&budget.account(None));
        held.push(bytes).unwrap();
        held
    }

    fn told(answer: Answer) -> Vec<u8> {
        pieces(answer.told()).flatten().collect()
    }

    #[test]
    fn an_answer_is_what_its_fields_are() {
        let budget = Budget::new(1 << 20);
        let answer = Answer::new()
            .fields(&json!({"a": 1, "b": "x"}))
            .fields(&json!({"c": [2]}))
            .text("stdout", held(&budget, b"a\0\"\n\xFF\xE2\x82\xAC"))
            .text("stderr", held(&budget, b""))
            .list("none", iter::empty::<u8>())
            .list("items", [json!({"a": 1}), json!(null)].into_iter())
            .lines("results", held(&budget, b"{\"a/b\":\"x\\ny\"}\n{}"))
            .lines("no_results", held(&budget, b""))
            .value("exit_code", &3);
        let value: Value = serde_json::from_slice(&told(answer)).unwrap();
        let want = json!({
            "a": 1, "b": "x", "c": [2], "stdout": "a\0\"\n\u{FFFD}€", "stderr": "", "none": [], "items": [{"a": 1}, null],
            "results": [{"a/b": "x\ny"}, {}], "no_results": [], "exit_code": 3,
        });
        assert_eq!(value, want);
        assert_eq!(budget.taken_bytes(), 0);
    }

    #[test]
    fn nothing_large_is_made_at_once_and_what_was_told_is_given_back() {
        let budget = Budget::new(8 << 20);
        let nuls = vec![0; 1 << 20];
        let answer =
            Answer::new().text("stdout", held(&budget, &nuls)).text("stderr", held(&budget, b"x"));
        let mut bytes = 0;
        for piece in pieces(answer.told()) {
            assert!(piece.len() <= 7 * PIECE_BYTES, "a piece of {} bytes", piece.len());
            bytes += piece.len();
            let is_told = bytes > 6 * nuls.len();
            assert_eq!(budget.taken_bytes() < nuls.len(), is_told, "after {bytes} bytes");
        }
        assert!(bytes > 6 * nuls.len());
        assert_eq!(budget.taken_bytes(), 0);
    }

    #[test]
    fn only_a_short_answer_has_a_length() {
        use axum::body::HttpBody;
        let budget = Budget::new(1 << 20);
        let length = |bytes: usize| {
            let answer = Answer::new().text("stdout", held(&budget, &vec![b'x'; bytes]));
            answer.into_response().body().size_hint().exact()
        };
        assert_eq!(length(3), Some(16));
        assert_eq!(length(3 * PIECE_BYTES), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_told_as_they_would_be_at_once(
            bytes in any::<Vec<u8>>(), times in 1_usize..400
        ) {
            let bytes = bytes.repeat(times);
            let answer = Answer::new().text("text", held(&Budget::new(1 << 24), &bytes));
            let want = json!({"text": String::from_utf8_lossy(&bytes)}).to_string();
            prop_assert_eq!(String::from_utf8(told(answer)).unwrap(), want);
        }
    }
}
