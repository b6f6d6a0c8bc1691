//! `pando app rm`.

use serde_json::json;

use super::find;
use crate::client::ClientArgs;
use crate::error::Failure;
use crate::output::{self, Progress};

/// Which one.
#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// Its name or id
    app: String,
}

/// Removes it; prints its id, or `{"removed": [id]}`.
pub async fn run(client: &ClientArgs, args: RmArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let progress = Progress::start(&format!("removing {}", app.name));
    api.delete(&format!("/apps/{}", app.id)).await?;
    drop(progress);
    if client.json {
        return output::json(&json!({"removed": [app.id]}));
    }
    output::line(&app.id.to_string())
}
