//! What follows a command that is asked of a server without its noun.

use crate::client::ClientArgs;

/// Its arguments, and the server that is asked.
#[derive(Debug, clap::Args)]
pub struct DirectArgs<Args: clap::Args> {
    #[command(flatten)]
    pub client: ClientArgs,
    #[command(flatten)]
    pub args: Args,
}
