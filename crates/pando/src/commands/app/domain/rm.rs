//! `pando app domain rm`.

use serde_json::json;

use super::OneArgs;
use crate::client::ClientArgs;
use crate::commands::app::find;
use crate::error::Failure;
use crate::output;

/// Removes it; prints the name, or `{"removed": [name]}`.
pub async fn run(client: &ClientArgs, args: OneArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    api.delete(&format!("/apps/{}/domains/{}", app.id, args.domain)).await?;
    if client.json {
        return output::json(&json!({"removed": [args.domain]}));
    }
    output::line(&args.domain)
}
