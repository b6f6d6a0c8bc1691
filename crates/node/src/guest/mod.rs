//! The host's side of a session with a guest's agent: one TCP connection inside
//! the sandbox's network namespace for each operation.
//!
//! The guest is hostile, and so is all that it says: every frame is bounded by
//! the protocol, every answer awaited under a time limit, and nothing that it
//! sends is read as more than bytes or the JSON it must fit. What is kept of it is
//! counted as it comes ([`held`](crate::held)); what is passed on is passed on in
//! small pieces.

mod client;
mod exec;
mod files;
mod frames;
mod lines;
mod logs;
mod machine;
mod repl;
mod supervise;
mod terminal;

pub use client::{Guest, GuestError};
pub use exec::{ExecEvent, ExecInput, ExecSay, ExecStream, Finished};
pub use files::FileStream;
pub use logs::LogStream;
pub use repl::Ran;
pub use terminal::{TerminalEvent, TerminalInput, TerminalOutput};
