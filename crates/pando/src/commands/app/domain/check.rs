//! `pando app domain check`.

use pando_types::domain::AppDomain;

use super::{OneArgs, told};
use crate::client::{ClientArgs, read};
use crate::commands::app::find;
use crate::error::Failure;
use crate::output;

/// Prints what DNS says of it, or the domain as JSON.
pub async fn run(client: &ClientArgs, args: OneArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let path = format!("/apps/{}/domains/{}/check", app.id, args.domain);
    let answer = api.post(&path, &serde_json::json!({})).await?;
    if client.json {
        return output::json(&answer);
    }
    output::line(&told(&read::<AppDomain>(&answer)?))
}
