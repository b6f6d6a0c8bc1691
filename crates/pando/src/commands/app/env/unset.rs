//! `pando app env unset`.

use pando_types::env::EnvScope;
use serde_json::json;

use crate::client::ClientArgs;
use crate::commands::app::find;
use crate::commands::word;
use crate::error::Failure;
use crate::output;

/// Whose, and which.
#[derive(Debug, clap::Args)]
pub struct UnsetArgs {
    /// The app's name or id
    app: String,
    /// Their names
    #[arg(required = true, value_name = "NAME", value_parser = super::name)]
    names: Vec<String>,
    /// From whom: all, production, preview
    #[arg(long, default_value = "all", value_name = "SCOPE", value_parser = super::scope)]
    scope: EnvScope,
}

/// Removes each; prints the names, or `{"removed": [name]}`.
pub async fn run(client: &ClientArgs, args: UnsetArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    for name in &args.names {
        let path = format!("/apps/{}/env/{name}?scope={}", app.id, word(&args.scope));
        api.delete(&path).await?;
        if !client.json {
            output::line(name)?;
        }
    }
    if client.json { output::json(&json!({"removed": args.names})) } else { Ok(()) }
}
