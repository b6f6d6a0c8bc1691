//! The `pando` command: the server in one process, and the command line beside it.
//!
//! `cli` lists the commands; `commands` holds them, a folder for each noun and a
//! file for each verb; `client` speaks to the API; `output` is the only place
//! that prints data, `error` the only one that prints errors. `serve`, `bake`,
//! `doctor` and `teardown` wire the other crates together. What never lives
//! here: a decision about sandboxes, apps or HTTP.

mod bake;
mod cli;
mod client;
mod commands;
mod doctor;
mod error;
mod host;
mod log;
mod output;
mod serve;
mod teardown;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error::Failure::from(anyhow::Error::new(error)))
        .and_then(|runtime| runtime.block_on(cli.command.run()));
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
