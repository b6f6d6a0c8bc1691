//! Who is told about pull requests, and whose word is taken.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use pando_deploy::forge::{Forge, GitHub};
use pando_deploy::{DeployConfig, HostPort, Secret};
use pando_types::BootId;
use pando_types::url::PublicUrls;

use crate::commands::serve::ServeArgs;

/// The forge's API takes this.
const TOKEN_VARIABLE: &str = "PANDO_GITHUB_TOKEN";
/// Webhooks are signed with this.
const SECRET_VARIABLE: &str = "PANDO_GITHUB_WEBHOOK_SECRET";

/// How deployments are set up, by arguments and environment.
pub(super) fn config(
    args: &ServeArgs,
    data: &Path,
    urls: &PublicUrls,
) -> anyhow::Result<DeployConfig> {
    let mut config = DeployConfig::new(data, urls.clone(), BootId::new());
    config.forge = match secret(TOKEN_VARIABLE) {
        Some(token) => {
            let forge = GitHub::new(&args.github_api, token).context("--github-api")?;
            Some(Arc::new(forge) as Arc<dyn Forge>)
        }
        None => {
            tracing::info!("{TOKEN_VARIABLE} is not set: pull requests get no comment");
            None
        }
    };
    config.webhook_secret = secret(SECRET_VARIABLE);
    if config.webhook_secret.is_none() {
        tracing::info!("{SECRET_VARIABLE} is not set: webhooks are refused");
    }
    for host in &args.allow_git_host {
        let host =
            host.parse::<HostPort>().map_err(anyhow::Error::msg).context("--allow-git-host")?;
        config.allowed_git_hosts.push(host);
    }
    config.dns = args.dns_server.clone().unwrap_or_default();
    config.workers = usize::from(args.workers);
    Ok(config)
}

fn secret(variable: &str) -> Option<Secret> {
    std::env::var(variable).ok().filter(|text| !text.is_empty()).map(Secret::new)
}
