//! `pando app deploy`, `pando app rollback` and `pando app restart`: each a new deployment.

use pando_types::DeploymentId;
use pando_types::app::{CreateDeployment, Deployment, Rollback};
use serde::Serialize;

use super::{build_log, find};
use crate::client::{Client, ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// What is deployed.
#[derive(Debug, clap::Args)]
pub struct DeployArgs {
    /// The app's name or id
    app: String,
    /// A branch or a commit of 40 digits, instead of the head of the app's branch
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// Install and build it anew, whatever an earlier deployment left
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

/// What is gone back to.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// The app's name or id
    app: String,
    /// The deployment to go back to, instead of the one before that which is live
    #[arg(long, value_name = "DEPLOYMENT")]
    to: Option<DeploymentId>,
    #[command(flatten)]
    wait: WaitArgs,
}

/// What is started anew.
#[derive(Debug, clap::Args)]
pub struct RestartArgs {
    /// The app's name or id
    app: String,
    #[command(flatten)]
    wait: WaitArgs,
}

/// Whether to wait.
#[derive(Debug, clap::Args)]
struct WaitArgs {
    /// Return at once, and not when it is live
    #[arg(long)]
    detach: bool,
}

/// Deploys a commit, and shows what the deployment says until it is live.
pub async fn deploy(client: &ClientArgs, args: DeployArgs) -> Result<(), Failure> {
    let body = CreateDeployment { git_ref: args.git_ref, fresh: args.fresh.then_some(true) };
    begin(client, &args.app, "deploys", &body, &args.wait).await
}

/// Goes back to an earlier deployment.
pub async fn rollback(client: &ClientArgs, args: RollbackArgs) -> Result<(), Failure> {
    let body = Rollback { deployment_id: args.to };
    begin(client, &args.app, "rollback", &body, &args.wait).await
}

/// Starts what is live anew.
pub async fn restart(client: &ClientArgs, args: RestartArgs) -> Result<(), Failure> {
    begin(client, &args.app, "restart", &(), &args.wait).await
}

async fn begin(
    client: &ClientArgs,
    app: &str,
    verb: &str,
    body: &impl Serialize,
    wait: &WaitArgs,
) -> Result<(), Failure> {
    let api: Client = client.client()?;
    let app = find(&api, app).await?;
    let path = format!("/apps/{}", app.id);
    let answer = api.post(&format!("{path}/{verb}"), body).await?;
    let deployment: Deployment = read(&answer)?;
    if wait.detach {
        return if client.json {
            output::json(&answer)
        } else {
            output::line(&deployment.id.to_string())
        };
    }
    build_log::follow(&api, &format!("{path}/deploys/{}", deployment.id), client.json).await
}
