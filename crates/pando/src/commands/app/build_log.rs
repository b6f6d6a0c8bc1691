//! `pando app logs --build`.

use pando_types::app::{Deployment, DeploymentStatus};
use pando_types::page::List;
use reqwest::Method;

use super::find;
use crate::client::{Client, ClientArgs, read};
use crate::commands::word;
use crate::error::Failure;
use crate::output;

/// Prints the log of the latest deployment, or that deployment as JSON.
pub async fn run(client: &ClientArgs, app: &str, to_its_end: bool) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, app).await?;
    let deployments = format!("/apps/{}/deploys", app.id);
    let list: List<Deployment> = read(&api.get(&format!("{deployments}?limit=1")).await?)?;
    let Some(latest) = list.items.into_iter().next() else {
        let error = anyhow::anyhow!("{} has no deployment yet", app.name);
        return Err(Failure::new(error, "push to its branch, or wait for its first one"));
    };
    let path = format!("{deployments}/{}", latest.id);
    if to_its_end {
        return follow(&api, &path, client.json).await;
    }
    let answer = api.get(&path).await?;
    if client.json {
        return output::json(&answer);
    }
    let deployment: Deployment = read(&answer)?;
    output::say(&format!("deployment {} ({})", deployment.id, word(&deployment.status)));
    output::raw(&output::printable(deployment.build_logs.as_deref().unwrap_or_default()))
}

/// Shows what a deployment says until it ends.
pub(super) async fn follow(api: &Client, path: &str, json: bool) -> Result<(), Failure> {
    let mut events = api.events(api.request(Method::GET, &format!("{path}/logs"))).await?;
    while let Some(event) = events.next().await? {
        if event.name.is_empty() && event.data == "end" {
            break;
        }
        if !json {
            output::line(&output::printable(&event.data))?;
        }
    }
    let answer = api.get(path).await?;
    if json {
        output::json(&answer)?;
    }
    let deployment: Deployment = read(&answer)?;
    if deployment.status == DeploymentStatus::Live {
        return Ok(());
    }
    let why = deployment.error.unwrap_or_else(|| word(&deployment.status));
    let error =
        anyhow::Error::msg(why).context(format!("deployment {} is not live", deployment.id));
    Err(Failure::new(error, "what was live before stays live; push a fix to try again"))
}
