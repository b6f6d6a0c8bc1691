//! What is kept, in the order in which it was said: on one shelf what commands said, and
//! on one of its own what each supervised process did. A shelf that is full loses its
//! oldest; the others lose nothing by it.

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;

use pando_guest_protocol::log::{
    LogLines, LogQuery, MAX_LOG_BYTES, MAX_LOG_NAMES, MAX_PROCESS_LOG_BYTES, Output, Whose,
};

use super::line;

/// What a piece costs beside its text.
const PIECE_OVERHEAD_BYTES: usize = 64;

/// The supervised process that says something, or the name that a command has here; none for
/// another command.
pub type Process = Option<Arc<str>>;

/// Whole lines that one output said at once. They are told apart when they are read:
/// commands say far more than anybody reads.
#[derive(Debug)]
pub struct Piece {
    /// Counts the bytes of all shelves since the machine booted.
    pub begin: u64,
    pub time_ms: u64,
    pub output: Output,
    pub pid: u32,
    /// Without the last newline.
    pub text: Vec<u8>,
}

impl Piece {
    /// Where the next begins.
    pub fn end(&self) -> u64 {
        self.begin + self.text.len() as u64 + 1
    }

    pub fn cost(&self) -> usize {
        self.text.len() + PIECE_OVERHEAD_BYTES
    }
}

/// Pieces, oldest first.
#[derive(Debug)]
pub struct Shelf {
    process: Process,
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// The end of the last that is gone.
    gone_until: u64,
}

impl Shelf {
    fn new(process: Process) -> Self {
        Self { process, pieces: VecDeque::new(), bytes: 0, gone_until: 0 }
    }

    fn limit_bytes(&self) -> usize {
        if self.process.is_some() { MAX_PROCESS_LOG_BYTES } else { MAX_LOG_BYTES }
    }

    fn push(&mut self, piece: Piece) {
        self.bytes += piece.cost();
        self.pieces.push_back(piece);
        while self.bytes > self.limit_bytes()
            && let Some(oldest) = self.pieces.pop_front()
        {
            self.bytes -= oldest.cost();
            self.gone_until = oldest.end();
        }
    }

    fn is_of(&self, whose: &Whose) -> bool {
        match whose {
            Whose::All => true,
            Whose::Processes => self.process.is_some(),
            Whose::Process(name) => self.process.as_deref() == Some(name),
        }
    }

    /// A piece's lines but the first few, as a reader takes them.
    pub fn read(&self, piece: &Piece, skip: usize) -> impl Iterator<Item = LogLines> {
        line::join(line::split(&piece.text).skip(skip)).map(|text| LogLines {
            time_ms: piece.time_ms,
            output: piece.output,
            pid: piece.pid,
            process: self.process.as_deref().map(str::to_owned),
            text,
        })
    }
}

/// All shelves.
#[derive(Debug, Default)]
pub struct Shelves {
    shelves: Vec<Shelf>,
    end: u64,
}

impl Shelves {
    /// Where the next piece will begin.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Keeps a piece that begins at [`Self::end`].
    pub fn push(&mut self, process: &Process, piece: Piece) {
        self.end = piece.end();
        self.shelf(process).push(piece);
    }

    fn shelf(&mut self, process: &Process) -> &mut Shelf {
        let at = self.shelves.iter().position(|shelf| shelf.process == *process);
        let at = at.unwrap_or_else(|| {
            if process.is_some() {
                self.make_room();
            }
            self.shelves.push(Shelf::new(process.clone()));
            self.shelves.len() - 1
        });
        &mut self.shelves[at]
    }

    /// Names change in the course of time: the one that has been silent for longest goes.
    fn make_room(&mut self) {
        let named = self.shelves.iter().enumerate().filter(|(_, shelf)| shelf.process.is_some());
        if named.clone().count() < MAX_LOG_NAMES {
            return;
        }
        let last = |shelf: &Shelf| shelf.pieces.back().map_or(0, Piece::end);
        if let Some((at, _)) = named.min_by_key(|(_, shelf)| last(shelf)) {
            self.shelves.remove(at);
        }
    }

    fn of<'a>(&'a self, query: &'a LogQuery) -> impl Iterator<Item = &'a Shelf> {
        self.shelves.iter().filter(|shelf| shelf.is_of(&query.whose))
    }

    /// The end of the last wanted piece that is gone.
    pub fn gone_until(&self, query: &LogQuery) -> u64 {
        self.of(query).map(|shelf| shelf.gone_until).max().unwrap_or(0)
    }

    /// The wanted pieces from `next` on.
    pub fn from<'a>(
        &'a self,
        query: &'a LogQuery,
        next: u64,
    ) -> impl Iterator<Item = (&'a Shelf, &'a Piece)> {
        let first = |shelf: &Shelf| shelf.pieces.partition_point(|piece| piece.begin < next);
        let mut at: Vec<_> = self.of(query).map(|shelf| (shelf, first(shelf))).collect();
        let pieces = iter::from_fn(move || {
            let heads = at.iter_mut().filter_map(|(shelf, index)| {
                let piece = shelf.pieces.get(*index)?;
                Some((*shelf, piece, index))
            });
            let (shelf, piece, index) = heads.min_by_key(|(_, piece, _)| piece.begin)?;
            *index += 1;
            Some((shelf, piece))
        });
        pieces.filter(|(_, piece)| is_wanted(query, piece))
    }

    /// The wanted pieces, newest first.
    pub fn back<'a>(&'a self, query: &'a LogQuery) -> impl Iterator<Item = &'a Piece> {
        let mut left: Vec<_> = self.of(query).map(|shelf| shelf.pieces.iter()).collect();
        let pieces = iter::from_fn(move || {
            let newest = |pieces: &std::collections::vec_deque::Iter<'_, Piece>| {
                pieces.clone().next_back().map(|piece| piece.begin)
            };
            left.iter_mut().max_by_key(|pieces| newest(pieces))?.next_back()
        });
        pieces.filter(|piece| is_wanted(query, piece))
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.shelves.iter().map(|shelf| shelf.bytes).sum()
    }
}

fn is_wanted(query: &LogQuery, piece: &Piece) -> bool {
    query.output.is_none_or(|output| output == piece.output)
        && query.since_ms.is_none_or(|since| piece.time_ms >= since)
}
