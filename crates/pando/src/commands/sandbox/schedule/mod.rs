//! `pando sandbox schedule`.

pub mod add;
pub mod ls;
pub mod rm;

use crate::client::ClientArgs;
use crate::error::Failure;

/// The noun's arguments.
#[derive(Debug, clap::Args)]
pub struct ScheduleArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Run a command in a sandbox at certain times, and print the schedule's id
    Add(add::AddArgs),
    /// List the schedules of a sandbox, and what came of their last runs
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Remove schedules of a sandbox; what runs runs on
    #[command(visible_alias = "delete")]
    Rm(rm::RmArgs),
}

/// Runs one.
pub async fn run(client: &ClientArgs, args: ScheduleArgs) -> Result<(), Failure> {
    match args.verb {
        Verb::Add(verb) => add::run(client, verb).await,
        Verb::Ls(verb) => ls::run(client, verb).await,
        Verb::Rm(verb) => rm::run(client, verb).await,
    }
}
