//! `pando preview`.

pub mod ls;

use crate::commands::noun_args::NounArgs;
use crate::error::Failure;

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List previews
    #[command(visible_alias = "list")]
    Ls,
}

/// Runs one.
pub async fn run(args: NounArgs<Verb>) -> Result<(), Failure> {
    match args.verb {
        Verb::Ls => ls::run(&args.client).await,
    }
}
