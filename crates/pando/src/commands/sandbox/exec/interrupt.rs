//! Ctrl-C: the command's the first time, this program's the second.

use tokio::signal::ctrl_c;
use tokio::sync::mpsc;

use crate::output;

/// The exit code of a program that Ctrl-C ended: 128 + SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// Passes the first one on. A command may not heed it, and it waits behind input that
/// the command has not read; the second ends this program wherever it stands, and the
/// closed connection kills the command.
pub async fn pass_on(interrupts: mpsc::Sender<()>) {
    if ctrl_c().await.is_err() || interrupts.send(()).await.is_err() {
        return;
    }
    if ctrl_c().await.is_ok() {
        output::say("interrupted twice: the command is killed");
        std::process::exit(INTERRUPTED);
    }
}
