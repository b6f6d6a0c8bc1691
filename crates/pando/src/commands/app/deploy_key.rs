//! `pando app deploy-key`.

use pando_types::app::DeployKey;
use serde_json::json;

use super::find;
use crate::client::{ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// Whose, and what of it.
#[derive(Debug, clap::Args)]
pub struct DeployKeyArgs {
    /// The app's name or id
    app: String,
    /// Forget the key instead
    #[arg(long)]
    forget: bool,
}

/// Prints the public key, which is made where there is none, or the answer as JSON.
pub async fn run(client: &ClientArgs, args: DeployKeyArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let path = format!("/apps/{}/deploy-key", app.id);
    if args.forget {
        api.delete(&path).await?;
        if client.json {
            return output::json(&json!({"removed": [app.id]}));
        }
        output::say(&format!("app {} has no deploy key now", app.name));
        return Ok(());
    }
    let answer = api.post(&path, &json!({})).await?;
    if client.json {
        return output::json(&answer);
    }
    let key: DeployKey = read(&answer)?;
    output::say("add it to the repository as a deploy key that may only read");
    output::line(&key.public_key)
}
