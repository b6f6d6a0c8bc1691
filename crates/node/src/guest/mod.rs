//! The host's side of a session with a guest's agent: one TCP connection inside
//! the sandbox's network namespace for each operation.
//!
//! The guest is hostile, and so is all that it says: every frame is bounded by
//! the protocol, every answer awaited under a time limit, and nothing that it
//! sends is read as more than bytes or the JSON it must fit.

mod client;
mod exec;
mod files;
mod lines;
mod logs;
mod machine;
mod repl;
mod terminal;

pub use client::{Guest, GuestError};
pub use exec::{ExecEvent, ExecInput, ExecSay, ExecStream, Finished};
pub use files::FileStream;
pub use logs::LogStream;
pub use repl::{Bundle, Ran};
pub use terminal::{TerminalEvent, TerminalInput, TerminalOutput};
