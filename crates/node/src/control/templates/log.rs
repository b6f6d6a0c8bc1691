//! What builds say: a file for each, bounded, read from its start and followed live.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, BoxStream, StreamExt};
use pando_types::TemplateBuildId;
use pando_types::limits::{MAX_BUILD_LOG_BYTES, MAX_BUILD_LOG_LINE_BYTES};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// What is read of a log at once.
const PIECE_BYTES: usize = 64 * 1024;

/// The logs of all builds. Clones share them.
#[derive(Clone)]
pub(super) struct LogBook {
    dir: PathBuf,
    /// Those that are written, each with how much of it is there.
    open: Arc<Mutex<HashMap<TemplateBuildId, watch::Receiver<u64>>>>,
}

/// The one writer of a log. Dropped, it closes the log.
pub(super) struct Log {
    book: LogBook,
    build: TemplateBuildId,
    file: File,
    bytes: u64,
    is_full: bool,
    written: watch::Sender<u64>,
}

impl LogBook {
    /// The logs in `dir`, which is made where it is missing.
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir, open: Arc::default() })
    }

    /// Begins the log of a build.
    pub(super) async fn write(&self, build: TemplateBuildId) -> io::Result<Log> {
        let file = File::create(self.path(build)).await?;
        let (written, receiver) = watch::channel(0);
        self.opened().insert(build, receiver);
        Ok(Log { book: self.clone(), build, file, bytes: 0, is_full: false, written })
    }

    /// The lines of a log, and those to come where it is followed.
    pub(super) async fn read(
        &self,
        build: TemplateBuildId,
        follow: bool,
    ) -> io::Result<BoxStream<'static, String>> {
        // In this order: what is written after the file was opened is told.
        let written = self.opened().get(&build).cloned().filter(|_| follow);
        let file = match File::open(self.path(build)).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(stream::empty().boxed());
            }
            Err(error) => return Err(error),
        };
        let reader = Reader { file, written, rest: Vec::new(), ended: false };
        let pages = stream::unfold(reader, |mut reader| async move {
            reader.lines().await.map(|lines| (lines, reader))
        });
        Ok(pages.flat_map(stream::iter).boxed())
    }

    /// Removes the log of a build.
    pub(super) async fn remove(&self, build: TemplateBuildId) -> io::Result<()> {
        match tokio::fs::remove_file(self.path(build)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, build: TemplateBuildId) -> PathBuf {
        self.dir.join(format!("{build}.log"))
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<TemplateBuildId, watch::Receiver<u64>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where what a build says goes.
pub(super) trait BuildLog: Send {
    /// A line as people may see it.
    fn shown(&self, line: String) -> String;
    /// Adds lines. What cannot be written ends no build.
    fn lines(&mut self, lines: &[String]) -> impl Future<Output = ()> + Send;
}

impl BuildLog for Log {
    fn shown(&self, line: String) -> String {
        line
    }

    async fn lines(&mut self, lines: &[String]) {
        Self::lines(self, lines).await;
    }
}

impl Log {
    /// Adds a line.
    pub(super) async fn say(&mut self, line: &str) {
        self.lines(&[line.to_owned()]).await;
    }

    /// Adds lines, as far as there is room. What cannot be written ends no build.
    pub(super) async fn lines(&mut self, lines: &[String]) {
        let mut text = String::new();
        for line in lines {
            let bytes = self.bytes + (text.len() + line.len() + 1) as u64;
            if self.is_full {
                break;
            }
            if bytes > MAX_BUILD_LOG_BYTES {
                self.is_full = true;
                let mib = MAX_BUILD_LOG_BYTES >> 20;
                text += &format!("[the log has reached {mib} MiB: what follows is not kept]\n");
                break;
            }
            text += line;
            text.push('\n');
        }
        if text.is_empty() {
            return;
        }
        let written = async {
            self.file.write_all(text.as_bytes()).await?;
            self.file.flush().await
        };
        match written.await {
            Ok(()) => self.bytes += text.len() as u64,
            Err(error) => {
                tracing::warn!(build = self.build.short(), %error, "its log ends here");
                self.is_full = true;
            }
        }
        self.written.send_replace(self.bytes);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.book.opened().remove(&self.build);
    }
}

struct Reader {
    file: File,
    written: Option<watch::Receiver<u64>>,
    rest: Vec<u8>,
    ended: bool,
}

impl Reader {
    /// The next lines, waited for; `None` at the end.
    async fn lines(&mut self) -> Option<Vec<String>> {
        loop {
            if self.ended {
                return None;
            }
            // Before the file is read, so that what comes after that wakes us.
            let is_live = match &mut self.written {
                Some(written) => {
                    written.borrow_and_update();
                    written.has_changed().is_ok()
                }
                None => false,
            };
            let mut piece = vec![0; PIECE_BYTES];
            let read = self.file.read(&mut piece).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "a build's log cannot be read further");
                0
            });
            self.rest.extend_from_slice(&piece[..read]);
            if read > 0 {
                if let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') {
                    let whole: Vec<u8> = self.rest.drain(..=end).collect();
                    let text = String::from_utf8_lossy(&whole);
                    return Some(text.lines().map(str::to_owned).collect());
                }
                continue;
            }
            match &mut self.written {
                Some(written) if is_live => {
                    // An end is looked at once more: lines may have come before it.
                    let _ = written.changed().await;
                }
                _ => self.ended = true,
            }
        }
    }
}

/// Cuts what a command says into lines that a log takes: text without control characters,
/// each bounded.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// The last byte was one that sends a terminal to the start of its line.
    returned: bool,
}

impl Lines {
    /// The lines that `bytes` complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in bytes {
            // What a progress bar draws over is gone.
            if std::mem::take(&mut self.returned) && *byte != b'\n' {
                self.line.clear();
            }
            match byte {
                b'\n' => lines.push(self.take()),
                b'\r' => self.returned = true,
                _ if self.line.len() < MAX_BUILD_LOG_LINE_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
        lines
    }

    /// What no newline follows.
    pub(super) fn finish(&mut self) -> Option<String> {
        (!self.line.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        plain(&std::mem::take(&mut self.line))
    }
}

/// The text of a line: colours and other orders to a terminal are left out.
fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.peek() == Some(&'[') => {
                characters.next();
                for follows in characters.by_ref() {
                    if ('@'..='~').contains(&follows) {
                        break;
                    }
                }
            }
            '\t' => plain.push('\t'),
            character if character.is_control() => {}
            character => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn book() -> (tempfile::TempDir, LogBook) {
        let folder = tempfile::tempdir().unwrap();
        let book = LogBook::open(folder.path().join("builds")).unwrap();
        (folder, book)
    }

    #[tokio::test]
    async fn a_log_is_followed_to_its_end() {
        let (_folder, book) = book().await;
        let build = TemplateBuildId::new();
        let mut log = book.write(build).await.unwrap();
        log.say("one").await;
        let follower = book.read(build, true).await.unwrap();
        let all = tokio::spawn(follower.collect::<Vec<_>>());
        let so_far: Vec<_> = book.read(build, false).await.unwrap().collect().await;
        assert_eq!(so_far, ["one"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
        log.lines(&["two".into(), "end".into()]).await;
        drop(log);
        assert_eq!(all.await.unwrap(), ["one", "two", "end"]);
        let later: Vec<_> = book.read(build, true).await.unwrap().collect().await;
        assert_eq!(later, ["one", "two", "end"]);
        book.remove(build).await.unwrap();
        book.remove(build).await.unwrap();
        assert_eq!(book.read(build, true).await.unwrap().count().await, 0);
    }

    #[tokio::test]
    async fn a_log_is_bounded_and_says_so() {
        let (_folder, book) = book().await;
        let build = TemplateBuildId::new();
        let mut log = book.write(build).await.unwrap();
        let line = "x".repeat(MAX_BUILD_LOG_LINE_BYTES);
        let many = vec![line; 512];
        for _ in 0..6 {
            log.lines(&many).await;
        }
        assert!(log.bytes <= MAX_BUILD_LOG_BYTES + 100);
        drop(log);
        let lines: Vec<_> = book.read(build, true).await.unwrap().collect().await;
        assert!(lines.last().unwrap().contains("not kept"));
    }

    #[test]
    fn lines_are_plain_and_bounded() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"a\x1b[31mb\x1b[0m\x07\r\n"), ["ab"]);
        assert_eq!(lines.push(b"10%\r20%\nc\td\xff"), ["20%"]);
        assert_eq!(lines.finish().as_deref(), Some("c\td\u{fffd}"));
        assert_eq!(lines.finish(), None);
        let long = lines.push(&[&vec![b'x'; 9000][..], b"\n"].concat());
        assert_eq!(long[0].len(), MAX_BUILD_LOG_LINE_BYTES);
        assert_eq!(lines.push(b"\x1b[1mhi\x1b[0m\n"), ["hi"]);
    }
}
