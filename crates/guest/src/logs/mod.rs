//! What commands have said: the last lines of all of them, in memory.
//!
//! In memory and not in files, because it must not fill a disk, costs nothing
//! until something is said, and belongs to a copy of the machine as it does to
//! the machine itself. What is typed and shown at a terminal is not kept.

mod file;
mod line;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use pando_guest_protocol::log::{LogLines, LogQuery, MAX_LOG_BYTES, Output};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;

pub use file::keep;

use self::line::Assembler;

/// Most bytes that are read at once.
const READ_BYTES: usize = 32 * 1024;
/// What a piece costs beside its text.
const PIECE_OVERHEAD_BYTES: usize = 64;
/// Bytes of pieces that are taken out at once for a reader.
const BATCH_BYTES: usize = 64 * 1024;

/// Whole lines that one output of a command said at once. They are told apart when
/// they are read: commands say far more than anybody reads.
#[derive(Debug)]
struct Piece {
    /// Counts bytes since the machine booted.
    begin: u64,
    time_ms: u64,
    output: Output,
    pid: u32,
    /// Without the last newline.
    text: Vec<u8>,
}

impl Piece {
    fn cost(&self) -> usize {
        self.text.len() + PIECE_OVERHEAD_BYTES
    }

    /// Its lines but the first few, as a reader takes them.
    fn read(&self, skip: usize) -> impl Iterator<Item = LogLines> {
        line::join(line::split(&self.text).skip(skip)).map(|text| LogLines {
            time_ms: self.time_ms,
            output: self.output,
            pid: self.pid,
            text,
        })
    }
}

/// The pieces, oldest first.
#[derive(Debug, Default)]
struct Ring {
    pieces: VecDeque<Piece>,
    end: u64,
    bytes: usize,
}

impl Ring {
    fn begin(&self) -> u64 {
        self.pieces.front().map_or(self.end, |piece| piece.begin)
    }

    fn push(&mut self, piece: Piece) {
        self.end = piece.begin + piece.text.len() as u64 + 1;
        self.bytes += piece.cost();
        self.pieces.push_back(piece);
        while self.bytes > MAX_LOG_BYTES
            && let Some(oldest) = self.pieces.pop_front()
        {
            self.bytes -= oldest.cost();
        }
    }
}

/// The log of a machine.
#[derive(Debug)]
pub struct Logs {
    ring: Mutex<Ring>,
    end: watch::Sender<u64>,
}

impl Default for Logs {
    fn default() -> Self {
        Self { ring: Mutex::default(), end: watch::Sender::new(0) }
    }
}

impl Logs {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps whole lines.
    fn push(&self, pid: u32, output: Output, text: Vec<u8>) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        let mut ring = self.ring();
        let begin = ring.end;
        ring.push(Piece { begin, time_ms, output, pid, text });
        self.end.send_replace(ring.end);
    }

    /// Where what one output of a command says is kept.
    pub fn writer(self: &Arc<Self>, pid: u32, output: Output) -> Writer {
        Writer { logs: Arc::clone(self), pid, output, assembler: Assembler::default() }
    }

    /// The lines of `query` from the beginning.
    pub fn reader(self: &Arc<Self>, query: LogQuery) -> Reader {
        let end = self.end.subscribe();
        let ring = self.ring();
        let (mut next, mut skip) = (ring.begin(), 0);
        if let Some(mut left) = query.tail {
            next = ring.end;
            for piece in ring.pieces.iter().rev().filter(|piece| is_wanted(&query, piece)) {
                if left == 0 {
                    break;
                }
                let lines = line::split(&piece.text).count();
                (next, skip) = (piece.begin, lines.saturating_sub(left));
                left = left.saturating_sub(lines);
            }
        }
        drop(ring);
        Reader { logs: Arc::clone(self), query, next, skip, end }
    }
}

fn is_wanted(query: &LogQuery, piece: &Piece) -> bool {
    query.output.is_none_or(|output| output == piece.output)
        && query.since_ms.is_none_or(|since| piece.time_ms >= since)
}

/// One output of a command. Dropped, it keeps the last line even without a newline.
#[derive(Debug)]
pub struct Writer {
    logs: Arc<Logs>,
    pid: u32,
    output: Output,
    assembler: Assembler,
}

impl Writer {
    /// Takes in what the command said.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(lines) = self.assembler.push(bytes) {
            self.logs.push(self.pid, self.output, lines);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(text) = self.assembler.finish() {
            self.logs.push(self.pid, self.output, text);
        }
    }
}

/// Keeps what one output says until the last that holds it has ended.
pub async fn drain(mut output: pipe::Receiver, mut kept: Writer) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match read(&mut output, &mut buffer).await {
            0 => return,
            count => kept.push(&buffer[..count]),
        }
    }
}

/// A pipe has no other way to fail than to end.
async fn read(pipe: &mut pipe::Receiver, buffer: &mut [u8]) -> usize {
    pipe.read(buffer).await.unwrap_or(0)
}

/// Reads on at its own pace; what it is too slow for is dropped, and it is told how much.
#[derive(Debug)]
pub struct Reader {
    logs: Arc<Logs>,
    query: LogQuery,
    next: u64,
    /// Lines of the next piece that are not wanted.
    skip: usize,
    end: watch::Receiver<u64>,
}

impl Reader {
    /// Some more of the wanted lines; empty when all that there are were read.
    pub fn take(&mut self) -> Vec<LogLines> {
        let mut taken = Vec::new();
        let ring = self.logs.ring();
        if let Some(lost) = ring.begin().checked_sub(self.next).filter(|lost| *lost > 0) {
            taken.push(LogLines {
                time_ms: ring.pieces.front().map_or(0, |piece| piece.time_ms),
                output: self.query.output.unwrap_or(Output::Stderr),
                pid: 0,
                text: format!("[{lost} bytes came faster than they were read, and are gone]"),
            });
            (self.next, self.skip) = (ring.begin(), 0);
        }
        let mut bytes = 0;
        let from = ring.pieces.partition_point(|piece| piece.begin < self.next);
        for piece in ring.pieces.range(from..) {
            if is_wanted(&self.query, piece) {
                taken.extend(piece.read(std::mem::take(&mut self.skip)));
                bytes += piece.cost();
            }
            self.next = piece.begin + piece.text.len() as u64 + 1;
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        taken
    }

    /// Returns once there is something new, wanted or not.
    pub async fn more(&mut self) {
        let next = self.next;
        // An error means that the agent itself is ending.
        let _unused = self.end.wait_for(|end| *end > next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[LogLines]) -> Vec<&str> {
        lines.iter().flat_map(|lines| lines.text.split('\n')).collect()
    }

    fn all(logs: &Arc<Logs>, query: LogQuery) -> Vec<LogLines> {
        let mut reader = logs.reader(query);
        let mut lines = Vec::new();
        loop {
            let more = reader.take();
            if more.is_empty() {
                return lines;
            }
            lines.extend(more);
        }
    }

    #[test]
    fn lines_of_several_commands_by_output_and_tail() {
        let logs = Arc::new(Logs::default());
        let mut one = logs.writer(1, Output::Stdout);
        let mut two = logs.writer(2, Output::Stderr);
        one.push(b"a\nhal");
        two.push(b"wrong\n\n");
        one.push(b"f\nrest");
        drop((one, two));
        let query = LogQuery::default();
        assert_eq!(texts(&all(&logs, query.clone())), ["a", "wrong", "", "half", "rest"]);
        let of = |output, tail| LogQuery { output, tail, ..query.clone() };
        assert_eq!(texts(&all(&logs, of(Some(Output::Stderr), None))), ["wrong", ""]);
        assert_eq!(texts(&all(&logs, of(Some(Output::Stdout), Some(2)))), ["half", "rest"]);
        assert_eq!(texts(&all(&logs, of(None, Some(9)))).len(), 5);
        assert_eq!(texts(&all(&logs, of(None, Some(3)))), ["", "half", "rest"]);
        assert!(all(&logs, of(None, Some(0))).is_empty());
        let later = LogQuery { since_ms: Some(u64::MAX), ..query };
        assert!(all(&logs, later).is_empty());
    }

    #[test]
    fn the_oldest_go_first_and_a_slow_reader_is_told() {
        let logs = Arc::new(Logs::default());
        let mut writer = logs.writer(1, Output::Stdout);
        writer.push(b"first\n");
        let mut reader = logs.reader(LogQuery { follow: true, ..LogQuery::default() });
        assert_eq!(texts(&reader.take()), ["first"]);
        for number in 0..100_000 {
            writer.push(format!("line {number}\n").as_bytes());
        }
        assert!(logs.ring().bytes <= MAX_LOG_BYTES);
        let lines = reader.take();
        assert!(lines[0].text.contains("are gone"), "{}", lines[0].text);
        assert_eq!(lines[0].pid, 0);
        let last = all(&logs, LogQuery { tail: Some(1), ..LogQuery::default() });
        assert_eq!(texts(&last), ["line 99999"]);
    }

    #[tokio::test]
    async fn a_follower_wakes_for_each_line() {
        let logs = Arc::new(Logs::default());
        let mut reader = logs.reader(LogQuery { follow: true, ..LogQuery::default() });
        assert!(reader.take().is_empty());
        let mut writer = logs.writer(1, Output::Stdout);
        let wait = tokio::spawn(async move {
            reader.more().await;
            reader.take()
        });
        writer.push(b"news\n");
        assert_eq!(texts(&wait.await.unwrap()), ["news"]);
    }
}
