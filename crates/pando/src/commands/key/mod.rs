//! `pando key`.

pub mod create;

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
}

/// Runs one.
pub async fn run(args: KeyArgs) -> Result<(), Failure> {
    match args.verb {
        Verb::Create(verb) => create::run(verb).await,
    }
}
