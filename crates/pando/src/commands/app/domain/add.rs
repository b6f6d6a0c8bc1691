//! `pando app domain add`.

use pando_types::domain::{AddDomain, AppDomain};

use super::{OneArgs, told};
use crate::client::{ClientArgs, read};
use crate::commands::app::find;
use crate::error::Failure;
use crate::output;

/// Prints the records to make, or the domain as JSON.
pub async fn run(client: &ClientArgs, args: OneArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let request = AddDomain { domain: args.domain };
    let answer = api.post(&format!("/apps/{}/domains", app.id), &request).await?;
    if client.json {
        return output::json(&answer);
    }
    output::line(&told(&read::<AppDomain>(&answer)?))
}
