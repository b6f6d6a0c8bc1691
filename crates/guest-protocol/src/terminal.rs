//! Terminals: a program on a pseudo-terminal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A program to run on a terminal of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// The program and its arguments; empty for the user's shell.
    pub argv: Vec<String>,
    /// Working directory; the user's home when absent.
    pub cwd: Option<String>,
    /// Added to the base environment; `TERM` belongs here.
    pub env: BTreeMap<String, String>,
    /// Name or number; root when absent.
    pub user: Option<String>,
    /// How large it is at first.
    pub size: Size,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub cols: u16,
}

impl Default for Size {
    /// What a terminal was before windows could be dragged.
    fn default() -> Self {
        Self { rows: 24, cols: 80 }
    }
}
