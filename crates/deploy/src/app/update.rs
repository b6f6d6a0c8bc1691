//! Changing what a user asks of an app. It holds from the next deployment on: what is
//! live was built and started by what held then.

use pando_store::{AppRow, Env, Swap};
use pando_types::app::UpdateApp;
use pando_types::{AppId, OrgId, PublicError};

use super::env::{self, Environments};
use super::find;
use super::git_access::seal_token;
use super::settings::{self, Wanted};
use crate::context::Context;
use crate::error::DeployError;

/// Changes an app, and its previews with it.
pub(crate) async fn update(
    context: &Context,
    org: OrgId,
    id: AppId,
    change: UpdateApp,
) -> Result<AppRow, DeployError> {
    let (mut tx, app) = find::to_change(context, org, id).await?;
    let has_git_token = change.git_token.is_some();
    let (has_env, has_preview_env) = (change.env.is_some(), change.preview_env.is_some());
    let url = context.mirrors.parse(&app.git_url);
    let url = url.map_err(|error| PublicError::invalid("git_url", error.to_string()))?;
    let templates = context.machines.templates(org).await?;
    let wanted = settings::wanted(settings::changed(&app, change, &templates), &url, &templates)?;

    let mut next = AppRow { git_branch: wanted.git_branch.clone(), ..with(&app, &wanted) };
    if has_git_token {
        next.git_token_sealed = seal_token(context, id, wanted.git_token.as_deref())?;
    }
    if tx.app_change(&next).await? != Swap::Done {
        return Err(find::leaving().into());
    }
    for preview in tx.app_list_previews(id).await? {
        // One that is being removed needs none of it.
        let _ = tx.app_change(&with(&preview, &wanted)).await?;
    }
    let mut env = Environments::open(&context.sealer, &app)?;
    if has_env {
        env.own = Env::secret(wanted.env);
    }
    if has_preview_env {
        env.previews = Env::secret(wanted.preview_env);
    }
    let effects = env::changed(context, &mut tx, &next, &env).await?;
    let changed = tx.app_get(id).await?.unwrap_or(next);
    context.commit(tx, effects).await?;
    Ok(changed)
}

/// An app or a preview with what is common to both.
fn with(row: &AppRow, wanted: &Wanted) -> AppRow {
    AppRow {
        template: wanted.template.clone(),
        auto_deploy: wanted.auto_deploy,
        previews: wanted.previews,
        framework: wanted.framework.clone(),
        install_command: wanted.install_command.clone(),
        build_command: wanted.build_command.clone(),
        start_command: wanted.start_command.clone(),
        root_directory: wanted.root_directory.clone(),
        port: wanted.port,
        cpu: wanted.cpu,
        memory_mib: wanted.memory_mib,
        ..row.clone()
    }
}
