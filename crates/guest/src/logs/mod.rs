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

use pando_guest_protocol::log::{LogLine, LogQuery, MAX_LOG_BYTES, Output};
use tokio::sync::watch;

pub use file::keep;

use self::line::Assembler;

/// What a line costs beside its text.
const LINE_OVERHEAD_BYTES: usize = 64;
/// Lines that are taken out at once for a reader.
const BATCH_LINES: usize = 256;

/// The lines, oldest first, numbered from 0 since the machine booted.
#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<LogLine>,
    first: u64,
    bytes: usize,
}

impl Ring {
    fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn push(&mut self, line: LogLine) {
        self.bytes += cost(&line);
        self.lines.push_back(line);
        while self.bytes > MAX_LOG_BYTES
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= cost(&oldest);
            self.first += 1;
        }
    }
}

fn cost(line: &LogLine) -> usize {
    line.text.len() + LINE_OVERHEAD_BYTES
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

    /// Keeps one line.
    fn push(&self, pid: u32, output: Output, text: String) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        let mut ring = self.ring();
        ring.push(LogLine { time_ms, output, pid, text });
        self.end.send_replace(ring.end());
    }

    /// Where what one output of a command says is kept.
    pub fn writer(self: &Arc<Self>, pid: u32, output: Output) -> Writer {
        Writer { logs: Arc::clone(self), pid, output, assembler: Assembler::default() }
    }

    /// The lines of `query` from the beginning.
    pub fn reader(self: &Arc<Self>, query: LogQuery) -> Reader {
        let end = self.end.subscribe();
        let ring = self.ring();
        let wanted = |line: &LogLine| is_wanted(&query, line);
        let mut next = ring.first;
        if let Some(tail) = query.tail {
            let newest_first = ring.lines.iter().enumerate().rev();
            let mut kept = newest_first.filter(|(_, line)| wanted(line)).map(|(index, _)| index);
            next = match tail.checked_sub(1) {
                Some(before) => kept.nth(before).map_or(ring.first, |i| ring.first + i as u64),
                None => ring.end(),
            };
        }
        drop(ring);
        Reader { logs: Arc::clone(self), query, next, end }
    }
}

fn is_wanted(query: &LogQuery, line: &LogLine) -> bool {
    query.output.is_none_or(|output| output == line.output)
        && query.since_ms.is_none_or(|since| line.time_ms >= since)
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
        let (logs, pid, output) = (&self.logs, self.pid, self.output);
        self.assembler.push(bytes, |text| logs.push(pid, output, text));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(text) = self.assembler.finish() {
            self.logs.push(self.pid, self.output, text);
        }
    }
}

/// Reads on at its own pace; what it is too slow for is dropped, and it is told how much.
#[derive(Debug)]
pub struct Reader {
    logs: Arc<Logs>,
    query: LogQuery,
    next: u64,
    end: watch::Receiver<u64>,
}

impl Reader {
    /// Some more of the wanted lines; empty when all that there are were read.
    pub fn take(&mut self) -> Vec<LogLine> {
        let mut taken = Vec::new();
        // A batch at a time, so that no lock is held while thousands are copied.
        while taken.is_empty() {
            let ring = self.logs.ring();
            if let Some(lost) = ring.first.checked_sub(self.next).filter(|lost| *lost > 0) {
                taken.push(LogLine {
                    time_ms: ring.lines.front().map_or(0, |line| line.time_ms),
                    output: self.query.output.unwrap_or(Output::Stderr),
                    pid: 0,
                    text: format!("[{lost} lines came faster than they were read, and are gone]"),
                });
            }
            self.next = self.next.max(ring.first);
            if self.next >= ring.end() {
                break;
            }
            let from = usize::try_from(self.next - ring.first).unwrap_or(usize::MAX);
            let batch = ring.lines.iter().skip(from).take(BATCH_LINES);
            taken.extend(batch.filter(|line| is_wanted(&self.query, line)).cloned());
            self.next = ring.end().min(self.next + BATCH_LINES as u64);
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

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    fn all(logs: &Arc<Logs>, query: LogQuery) -> Vec<LogLine> {
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
