//! The commands: a folder for each noun, a file for each verb, arguments and code together.

pub mod app;
pub mod bake;
pub mod completions;
pub mod doctor;
pub mod host_args;
pub mod key;
pub mod org;
mod pair;
pub mod preview;
mod rows_args;
pub mod sandbox;
pub mod serve;
pub mod teardown;

use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

use crate::cli::Command;
use crate::error::Failure;

/// Runs a command. The exit code is the remote command's for `sandbox exec` and `sandbox shell`, else 0.
pub async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(args) => crate::serve::run(args).await?,
        Command::Bake(args) => crate::bake::run(args).await?,
        Command::Doctor(args) => return crate::doctor::run(args).await,
        Command::Teardown(args) => crate::teardown::run(args).await?,
        Command::Sandbox(args) => return sandbox::run(args).await,
        Command::App(args) => app::run(args).await?,
        Command::Preview(args) => preview::run(args).await?,
        Command::Key(args) => key::run(args).await?,
        Command::Org(args) => org::run(args).await?,
        Command::Completions(args) => completions::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A state as the API spells it.
fn word(state: &impl Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}
