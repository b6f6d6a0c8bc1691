//! `pando snapshot`.

pub mod create;
pub mod ls;
pub mod rm;

use crate::commands::noun_args::NounArgs;
use crate::error::Failure;

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Take a snapshot of a sandbox, which goes on, and print its id
    Create(create::CreateArgs),
    /// List snapshots
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Remove snapshots; sandboxes that were made of them go on
    #[command(visible_alias = "delete")]
    Rm(rm::RmArgs),
}

/// Runs one.
pub async fn run(args: NounArgs<Verb>) -> Result<(), Failure> {
    match args.verb {
        Verb::Create(verb) => create::run(&args.client, verb).await,
        Verb::Ls(verb) => ls::run(&args.client, verb).await,
        Verb::Rm(verb) => rm::run(&args.client, verb).await,
    }
}
