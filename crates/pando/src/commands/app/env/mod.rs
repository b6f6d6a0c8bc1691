//! `pando app env`.

pub mod import;
pub mod ls;
pub mod set;
mod text;
pub mod unset;

use pando_types::env::{EnvScope, is_name};

use crate::client::ClientArgs;
use crate::error::Failure;

/// The noun's arguments.
#[derive(Debug, clap::Args)]
pub struct EnvArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List the variables; values of secrets are masked
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Set a variable
    Set(set::SetArgs),
    /// Set every variable of a .env file, or none
    Import(import::ImportArgs),
    /// Remove variables
    #[command(visible_alias = "rm")]
    Unset(unset::UnsetArgs),
}

/// How a variable is kept, and who is given it.
#[derive(Debug, clap::Args)]
pub struct KindArgs {
    /// Never show the value again, to anybody
    #[arg(long)]
    secret: bool,
    /// Who is given it: all, production (not its previews), preview (its previews alone)
    #[arg(long, default_value = "all", value_name = "SCOPE", value_parser = scope)]
    scope: EnvScope,
}

/// Runs one.
pub async fn run(client: &ClientArgs, args: EnvArgs) -> Result<(), Failure> {
    match args.verb {
        Verb::Ls(verb) => ls::run(client, verb).await,
        Verb::Set(verb) => set::run(client, verb).await,
        Verb::Import(verb) => import::run(client, verb).await,
        Verb::Unset(verb) => unset::run(client, verb).await,
    }
}

fn scope(text: &str) -> Result<EnvScope, String> {
    text.parse().map_err(|_| "must be all, production or preview".to_owned())
}

/// A name, which becomes a part of a path.
fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err("a name holds letters, digits and `_`, no digit first".to_owned())
}
