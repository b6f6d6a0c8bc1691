//! Server-sent events, read line by line.

use std::collections::VecDeque;

use reqwest::Response;

use super::{ClientError, SILENCE_TIMEOUT};

/// The longest line of an event that is taken, in bytes.
const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// One event: its name (empty when it has none) and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The name.
    pub name: String,
    /// The data, of one line.
    pub data: String,
}

/// The events of a response. Dropped, it closes the connection.
pub struct Events {
    response: Response,
    reader: Reader,
    ready: VecDeque<Event>,
}

impl Events {
    pub(super) fn new(response: Response) -> Self {
        Self { response, reader: Reader::default(), ready: VecDeque::new() }
    }

    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let status = self.response.status().as_u16();
            let wrong = |text: String| ClientError::Answer { status, text };
            let piece = tokio::time::timeout(SILENCE_TIMEOUT, self.response.chunk()).await;
            let silent = |_| wrong(format!("nothing for {} s", SILENCE_TIMEOUT.as_secs()));
            let Some(piece) = piece.map_err(silent)?.map_err(ClientError::Broken)? else {
                return Ok(None);
            };
            let events = self.reader.push(&piece);
            self.ready.extend(events.ok_or_else(|| wrong("a line without end".to_owned()))?);
        }
    }
}

#[derive(Debug, Default)]
struct Reader {
    line: Vec<u8>,
    name: String,
}

impl Reader {
    /// The events that `piece` completes; `None` when a line is too long. Every
    /// data line is an event of its own: Pando sends no others.
    fn push(&mut self, piece: &[u8]) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > MAX_LINE_BYTES {
                return None;
            }
            if self.line.ends_with(b"\n") {
                events.extend(self.take_line());
            }
        }
        Some(events)
    }

    fn take_line(&mut self) -> Option<Event> {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            self.name.clear();
        }
        // The specification: one space after the colon is not part of the value.
        let (field, value) = line.split_once(':')?;
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                return Some(Event { name: self.name.clone(), data: value.to_owned() });
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_whole_however_they_are_cut() {
        let stream = "event: stdout\ndata: {\"chunk\":\"é\"}\n\n: still here\n\ndata:   raw: x\n\n";
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        let want = [event("stdout", "{\"chunk\":\"é\"}"), event("", "  raw: x")];
        for size in 1..stream.len() {
            let mut reader = Reader::default();
            let pieces = stream.as_bytes().chunks(size);
            let got: Vec<_> = pieces.flat_map(|piece| reader.push(piece).unwrap()).collect();
            assert_eq!(got, want, "cut every {size} bytes");
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut reader = Reader::default();
        assert!(reader.push(&vec![b'x'; MAX_LINE_BYTES + 1]).is_none());
    }
}
