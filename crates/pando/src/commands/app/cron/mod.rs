//! `pando app cron`.

pub mod ls;
pub mod run;

use std::process::ExitCode;

use crate::client::ClientArgs;
use crate::error::Failure;

/// The noun's arguments.
#[derive(Debug, clap::Args)]
pub struct CronArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List what is run at certain times, when it is next, and what came of it last
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Run one now, also one that is off in a preview, and show what it said
    Run(run::RunArgs),
}

/// Runs one.
pub async fn run(client: &ClientArgs, args: CronArgs) -> Result<ExitCode, Failure> {
    match args.verb {
        Verb::Ls(verb) => ls::run(client, verb).await.map(|()| ExitCode::SUCCESS),
        Verb::Run(verb) => run::run(client, verb).await,
    }
}
