//! The one place for each kernel facility and each outside tool: a safe
//! function with a typed error. Nothing else calls `Command`, `libc` or `rename`.

pub mod command;
pub mod durable;
pub mod fault;
pub mod host;
pub mod process;
pub mod reflink;
pub mod socket;
