//! What commands and supervised processes have said: the last lines of each, in memory.
//!
//! In memory and not in files, because it must not fill a disk, costs nothing
//! until something is said, and belongs to a copy of the machine as it does to
//! the machine itself. What is typed and shown at a terminal is not kept.

mod file;
mod line;
mod shelf;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pando_guest_protocol::log::{LogLines, LogQuery, Output};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;

pub use file::keep;

use self::line::Assembler;
pub use self::shelf::Process;
use self::shelf::{Piece, Shelves};
use crate::sys::clock;

/// Most bytes that are read at once.
const READ_BYTES: usize = 32 * 1024;
/// Bytes of pieces that are taken out at once for a reader.
const BATCH_BYTES: usize = 64 * 1024;

/// The log of a machine.
#[derive(Debug)]
pub struct Logs {
    shelves: Mutex<Shelves>,
    end: watch::Sender<u64>,
}

impl Default for Logs {
    fn default() -> Self {
        Self { shelves: Mutex::default(), end: watch::Sender::new(0) }
    }
}

impl Logs {
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps whole lines.
    fn push(&self, process: &Process, pid: u32, output: Output, text: Vec<u8>) {
        let time_ms = clock::read_ms();
        let mut shelves = self.shelves();
        let begin = shelves.end();
        shelves.push(process, Piece { begin, time_ms, output, pid, text });
        self.end.send_replace(shelves.end());
    }

    /// Keeps what the agent has to say of a supervised process, in its log.
    pub fn remark(&self, process: &Arc<str>, text: &str) {
        let line = format!("[{text}]").replace('\n', " ");
        self.push(&Some(Arc::clone(process)), 0, Output::Stderr, line.into_bytes());
    }

    /// Where what one output of a command without a name says is kept.
    pub fn writer(self: &Arc<Self>, pid: u32, output: Output) -> Writer {
        self.writer_of(None, pid, output)
    }

    /// Where what one output of a supervised process, or of a command of that name, is kept.
    pub fn writer_of(self: &Arc<Self>, process: Process, pid: u32, output: Output) -> Writer {
        let logs = Arc::clone(self);
        Writer { logs, process, pid, output, assembler: Assembler::default() }
    }

    /// The lines of `query` from the beginning.
    pub fn reader(self: &Arc<Self>, query: LogQuery) -> Reader {
        let end = self.end.subscribe();
        let shelves = self.shelves();
        let (mut next, mut skip) = (0, (0, 0));
        if let Some(mut left) = query.tail {
            next = shelves.end();
            for piece in shelves.back(&query) {
                if left == 0 {
                    break;
                }
                let lines = line::split(&piece.text).count();
                (next, skip) = (piece.begin, (piece.begin, lines.saturating_sub(left)));
                left = left.saturating_sub(lines);
            }
        }
        let known_gone = shelves.gone_until(&query);
        drop(shelves);
        Reader { logs: Arc::clone(self), query, next, skip, known_gone, end }
    }
}

/// One output of a command or process. Dropped, it keeps the last line even without a newline.
#[derive(Debug)]
pub struct Writer {
    logs: Arc<Logs>,
    process: Process,
    pid: u32,
    output: Output,
    assembler: Assembler,
}

impl Writer {
    /// Takes in what the command said.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(lines) = self.assembler.push(bytes) {
            self.logs.push(&self.process, self.pid, self.output, lines);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(text) = self.assembler.finish() {
            self.logs.push(&self.process, self.pid, self.output, text);
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

/// Reads on at its own pace; what it is too slow for is dropped, and it is told.
#[derive(Debug)]
pub struct Reader {
    logs: Arc<Logs>,
    query: LogQuery,
    next: u64,
    /// Where a piece begins, and how many lines of it are not wanted.
    skip: (u64, usize),
    /// The end of what was gone when it was last looked.
    known_gone: u64,
    end: watch::Receiver<u64>,
}

impl Reader {
    /// Some more of the wanted lines; empty when all that there are were read.
    pub fn take(&mut self) -> Vec<LogLines> {
        let mut taken = Vec::new();
        let shelves = self.logs.shelves();
        let gone = shelves.gone_until(&self.query);
        if gone > self.known_gone.max(self.next) {
            taken.push(LogLines {
                time_ms: clock::read_ms(),
                output: self.query.output.unwrap_or(Output::Stderr),
                pid: 0,
                process: None,
                text: "[lines came faster than they were read, and are gone]".to_owned(),
            });
        }
        self.known_gone = gone;
        let (mut bytes, mut next) = (0, shelves.end());
        for (shelf, piece) in shelves.from(&self.query, self.next) {
            let skip = if piece.begin == self.skip.0 { self.skip.1 } else { 0 };
            taken.extend(shelf.read(piece, skip));
            bytes += piece.cost();
            if bytes >= BATCH_BYTES {
                next = piece.end();
                break;
            }
        }
        self.next = next;
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
    use pando_guest_protocol::log::MAX_LOG_NAMES;
    use pando_guest_protocol::log::{MAX_LOG_BYTES, MAX_PROCESS_LOG_BYTES, Whose};

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
        let query = query(Whose::All);
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
        assert!(logs.shelves().bytes() <= MAX_LOG_BYTES);
        let lines = reader.take();
        assert!(lines[0].text.contains("are gone"), "{}", lines[0].text);
        assert_eq!(lines[0].pid, 0);
        let last = all(&logs, LogQuery { tail: Some(1), ..LogQuery::default() });
        assert_eq!(texts(&last), ["line 99999"]);
    }

    fn of(process: &str, logs: &Arc<Logs>) -> Writer {
        logs.writer_of(Some(process.into()), 7, Output::Stdout)
    }

    fn query(whose: Whose) -> LogQuery {
        LogQuery { whose, ..LogQuery::default() }
    }

    #[test]
    fn processes_are_told_apart_and_stay_in_order() {
        let logs = Arc::new(Logs::default());
        let (mut web, mut worker) = (of("web", &logs), of("worker", &logs));
        web.push(b"a\n");
        worker.push(b"b\n");
        logs.writer(1, Output::Stdout).push(b"command\n");
        web.push(b"c\nd\n");
        logs.remark(&"worker".into(), "it\nended");
        let all_of = |whose| all(&logs, query(whose));
        assert_eq!(texts(&all_of(Whose::All)), ["a", "b", "command", "c", "d", "[it ended]"]);
        let processes = all_of(Whose::Processes);
        assert_eq!(texts(&processes), ["a", "b", "c", "d", "[it ended]"]);
        assert_eq!(processes[1].process.as_deref(), Some("worker"));
        assert_eq!(texts(&all_of(Whose::Process("web".into()))), ["a", "c", "d"]);
        assert!(all_of(Whose::Process("other".into())).is_empty());
        let last = LogQuery { tail: Some(2), ..query(Whose::Processes) };
        assert_eq!(texts(&all(&logs, last)), ["d", "[it ended]"]);
        let last = LogQuery { tail: Some(3), ..query(Whose::Process("web".into())) };
        assert_eq!(texts(&all(&logs, last)), ["a", "c", "d"]);
    }

    #[test]
    fn a_process_that_talks_much_pushes_out_nothing_but_its_own() {
        let logs = Arc::new(Logs::default());
        of("web", &logs).push(b"here\n");
        let mut reader = logs.reader(query(Whose::Process("web".into())));
        for number in 0..100_000 {
            of("worker", &logs).push(format!("line {number}\n").as_bytes());
        }
        assert!(logs.shelves().bytes() <= 2 * MAX_PROCESS_LOG_BYTES);
        assert_eq!(texts(&all(&logs, query(Whose::Process("web".into())))), ["here"]);
        assert_eq!(texts(&reader.take()), ["here"], "nothing of it is gone");
        assert!(reader.take().is_empty());
        let last = LogQuery { tail: Some(1), ..query(Whose::All) };
        assert_eq!(texts(&all(&logs, last)), ["line 99999"]);
    }

    #[test]
    fn names_that_come_and_go_take_no_more_room() {
        let logs = Arc::new(Logs::default());
        for number in 0..3 * MAX_LOG_NAMES {
            of(&format!("p{number}"), &logs).push(b"x\n");
        }
        assert_eq!(all(&logs, query(Whose::Processes)).len(), MAX_LOG_NAMES);
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
