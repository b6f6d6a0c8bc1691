//! `pando org`: works on the server's machine, whether the server runs or not.

pub mod quota;

use crate::error::Failure;

/// The noun's arguments.
#[derive(Debug, clap::Args)]
pub struct OrgArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Show what the org may have at most, or set it; counts at once
    Quota(quota::QuotaArgs),
}

/// Runs one.
pub async fn run(args: OrgArgs) -> Result<(), Failure> {
    match args.verb {
        Verb::Quota(verb) => quota::run(verb).await,
    }
}
