//! `pando volume`.

pub mod create;
pub mod ls;
pub mod rm;

use crate::commands::noun_args::NounArgs;
use crate::error::Failure;

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make a volume, empty, and print its name
    Create(create::CreateArgs),
    /// List volumes
    #[command(visible_alias = "list")]
    Ls,
    /// Remove volumes with what is on them; none that a sandbox holds
    #[command(visible_alias = "delete")]
    Rm(rm::RmArgs),
}

/// Runs one.
pub async fn run(args: NounArgs<Verb>) -> Result<(), Failure> {
    match args.verb {
        Verb::Create(verb) => create::run(&args.client, verb).await,
        Verb::Ls => ls::run(&args.client).await,
        Verb::Rm(verb) => rm::run(&args.client, verb).await,
    }
}
