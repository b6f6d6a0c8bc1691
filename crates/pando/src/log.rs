//! Logs: to standard error, by `RUST_LOG`, without colour when it is no terminal.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info";

/// Starts logging; once, before anything else of a server.
pub fn init() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        // Where a line finds no room, neither does the complaint about it, and that is a panic.
        .log_internal_errors(false)
        .init();
}
