//! `pando-guest` is PID 1 of every sandbox, from the kernel's first `exec` to power-off.
//!
//! The folders, in the order in which a machine meets them:
//! - `boot`: from the initramfs to a root on disk with a network (once, at bake);
//! - `control`: the line on which the host says who the machine is and when it ends;
//! - `identity`: what a restored machine changes before it serves anybody;
//! - `session`: TCP connections, one operation each;
//! - `lease`: what keeps the machine awake from inside, and the program that asks for it;
//! - `pages`: the program that serves the files of a folder; `programs`: where those are;
//! - `supervise`: processes that are kept running;
//! - `logs`: the last lines of what commands and processes have said; `repl`: interpreters that keep their state;
//! - `process`: how children start, and the one place where they are reaped;
//! - `sys`: kernel facilities that have no safe function elsewhere, one file each.
//!
//! What never happens here: waiting for a child anywhere but in
//! `process::reaper`, serving a session before the token of the latest restore
//! is known, and leaving PID 1 (the kernel panics when it ends).
//!
//! It is linked statically against glibc, so names are looked up in
//! `/etc/passwd` and `/etc/group` by hand and addresses are never resolved.

mod boot;
mod control;
mod identity;
mod lease;
mod lines;
mod logs;
mod pages;
mod process;
mod programs;
mod repl;
mod session;
mod supervise;
mod sys;

use std::process::ExitCode;

use tokio::net::TcpListener;

use crate::sys::log;

/// File operations that may be under way at once; the rest wait their turn.
const BLOCKING_THREADS: usize = 16;

#[derive(Debug, thiserror::Error)]
enum AgentError {
    #[error("the machine did not boot: {0}")]
    Boot(#[from] boot::BootError),
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
    #[error("no session listener: {0}")]
    Listen(std::io::Error),
    #[error("no leases: {0}")]
    Lease(std::io::Error),
    #[error("the control line is unusable: {0}")]
    Control(#[from] control::ControlError),
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called = arguments.next().unwrap_or_default();
    if let Some(code) = programs::run(&called, &mut arguments) {
        return code;
    }
    if arguments.next().is_some_and(|argument| argument == "--version") {
        println!("pando-guest {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    if std::process::id() != 1 {
        eprintln!(
            "pando-guest: this is the init of a sandbox and runs as process 1 only (try --version)"
        );
        return ExitCode::from(2);
    }
    // Only an error ends the agent. Powering off tells the host at once, where a
    // kernel panic would leave it waiting for its time limit.
    let Err(error) = run();
    log::error(format_args!("{error}"));
    control::power_off()
}

fn run() -> Result<std::convert::Infallible, AgentError> {
    boot::boot()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(AgentError::Runtime)?;
    runtime.block_on(async {
        let services = session::Services::default();
        let listener = TcpListener::bind(session::ADDRESS).await.map_err(AgentError::Listen)?;
        let leases = lease::Leases::default();
        let lessor = lease::listen().map_err(AgentError::Lease)?;
        let line = control::find_port()?;
        tokio::select! {
            never = session::listen(listener, services.clone()) => match never {},
            never = lease::serve(lessor, leases.clone()) => match never {},
            error = control::serve(line, &services, &leases) => Err(error.into()),
        }
    })
}
