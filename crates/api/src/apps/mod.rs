//! `/v1/apps`: repositories with a stable host, and their deployments.

pub mod create;
pub mod cron;
pub mod delete;
pub mod deliveries;
pub mod deploy_key;
pub mod deploys;
pub mod domains;
pub mod env;
pub mod get;
pub mod list;
pub mod logs;
pub mod processes;
pub mod restart;
pub mod rollback;
pub mod run;
pub mod update;

use pando_node::guest::Guest;
use pando_types::AppId;

use crate::Api;
use crate::auth::Caller;
use crate::extract;
use crate::refusal::Refused;

/// The app id in a path.
fn app_id(text: &str) -> Result<AppId, Refused> {
    Ok(extract::id("app", text)?)
}

/// The agent where an app of the caller is live; one that sleeps is woken first.
async fn guest(api: &Api, caller: &Caller, id: &str) -> Result<Guest, Refused> {
    let sandbox = api.deploy.app_sandbox(caller.org, app_id(id)?).await?;
    Ok(api.sandboxes.guest(caller.org, sandbox).await?)
}
