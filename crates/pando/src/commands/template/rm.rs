//! `pando template rm`.

use serde_json::json;

use crate::client::ClientArgs;
use crate::error::Failure;
use crate::output;

/// Which ones.
#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// Their names
    #[arg(required = true)]
    names: Vec<String>,
}

/// Removes each; prints the names, or `{"removed": [name]}`.
pub async fn run(client: &ClientArgs, args: RmArgs) -> Result<(), Failure> {
    let api = client.client()?;
    for name in &args.names {
        if name.is_empty() || name.contains(['/', '?', '#', '%']) {
            let message = format!("`{name}` is no name of a template");
            return Err(Failure::usage(message, "`pando template ls` lists them"));
        }
        api.delete(&format!("/templates/{name}")).await?;
        if !client.json {
            output::line(name)?;
        }
    }
    if client.json { output::json(&json!({"removed": args.names})) } else { Ok(()) }
}
