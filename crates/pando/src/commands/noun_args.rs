//! What follows the name of a noun that a server has.

use clap::Subcommand;

use crate::client::ClientArgs;

/// One of its verbs, and the server that is asked.
#[derive(Debug, clap::Args)]
pub struct NounArgs<Verb: Subcommand> {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(subcommand)]
    pub verb: Verb,
}
