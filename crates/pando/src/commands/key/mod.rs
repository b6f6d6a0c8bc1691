//! `pando key`: works on the server's machine, whether the server runs or not.

pub mod create;
pub mod ls;
pub mod rm;

use crate::error::Failure;

/// The noun's arguments.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make an API key and print it, once; works on the server's machine, whether it runs or not
    Create(create::CreateArgs),
    /// List API keys: their prefixes, never the keys
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Delete an API key; it is refused at once
    #[command(visible_alias = "delete")]
    Rm(rm::RmArgs),
}

/// Runs one.
pub async fn run(args: KeyArgs) -> Result<(), Failure> {
    match args.verb {
        Verb::Create(verb) => create::run(verb).await,
        Verb::Ls(verb) => ls::run(verb).await,
        Verb::Rm(verb) => rm::run(verb).await,
    }
}
