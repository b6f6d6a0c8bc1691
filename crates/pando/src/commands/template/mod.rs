//! `pando template`.

pub mod build;
mod context;
pub mod ls;
pub mod rm;

use crate::commands::noun_args::NounArgs;
use crate::error::Failure;

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Build a template of a Dockerfile or a template.toml, and show its log
    Build(build::BuildArgs),
    /// List templates
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Remove templates; sandboxes that were made of them go on
    #[command(visible_alias = "delete")]
    Rm(rm::RmArgs),
}

/// Runs one.
pub async fn run(args: NounArgs<Verb>) -> Result<(), Failure> {
    match args.verb {
        Verb::Build(verb) => build::run(&args.client, verb).await,
        Verb::Ls(verb) => ls::run(&args.client, verb).await,
        Verb::Rm(verb) => rm::run(&args.client, verb).await,
    }
}
