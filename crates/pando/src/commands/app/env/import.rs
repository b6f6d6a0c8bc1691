//! `pando app env import`.

use std::path::PathBuf;

use pando_types::env::{EnvImported, ImportEnv};
use pando_types::limits::MAX_DOTENV_BYTES;

use super::{KindArgs, text};
use crate::client::{ClientArgs, read};
use crate::commands::app::find;
use crate::error::Failure;
use crate::output;

/// Whose, and what.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The app's name or id
    app: String,
    /// The .env file; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    kind: KindArgs,
}

/// Prints how many were set, as JSON or in words.
pub async fn run(client: &ClientArgs, args: ImportArgs) -> Result<(), Failure> {
    let dotenv = text::of_file(&args.file, MAX_DOTENV_BYTES)?;
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let request = ImportEnv { dotenv, secret: args.kind.secret, scope: args.kind.scope };
    let answer = api.post(&format!("/apps/{}/env/import", app.id), &request).await?;
    if client.json {
        return output::json(&answer);
    }
    let done: EnvImported = read(&answer)?;
    output::say(&format!("variables of {} that are set: {}", app.name, done.imported));
    Ok(())
}
