//! `pando preview`.

pub mod ls;

use crate::client::ClientArgs;
use crate::error::Failure;

/// The noun's arguments.
#[derive(Debug, clap::Args)]
pub struct PreviewArgs {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List previews
    #[command(visible_alias = "list")]
    Ls,
}

/// Runs one.
pub async fn run(args: PreviewArgs) -> Result<(), Failure> {
    match args.verb {
        Verb::Ls => ls::run(&args.client).await,
    }
}
