//! Changing what a user asks of an app. It holds from the next deployment on: what is
//! live was built and started by what held then.

use std::collections::BTreeMap;

use pando_store::{AppKind, AppRow, Presence, Swap};
use pando_types::app::UpdateApp;
use pando_types::{AppId, Code, OrgId, PublicError};

use super::find;
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
    let found = find::one(context, org, id).await?;
    let mut tx = context.store.begin().await?;
    // Again, now that nobody else writes.
    let app = tx.app_get(found.id).await?.filter(|app| app.presence == Presence::Kept);
    let app = app.ok_or_else(leaving)?;
    if let AppKind::Preview(preview) = &app.kind {
        let message = "a preview has the settings of its app";
        let hint = format!("change the app, {}: its previews follow", preview.parent);
        return Err(PublicError::new(Code::Conflict, message).hint(hint).into());
    }
    let (has_env, has_preview_env) = (change.env.is_some(), change.preview_env.is_some());
    let url = context.mirrors.parse(&app.git_url);
    let url = url.map_err(|error| PublicError::invalid("git_url", error.to_string()))?;
    let templates = context.machines.templates();
    let wanted = settings::wanted(settings::changed(&app, change), &url, &templates)?;
    let seal = |id: AppId, column: &str, env: &BTreeMap<String, String>| {
        context.sealer.seal_env(&id.to_string(), column, env)
    };

    let mut next = AppRow { git_branch: wanted.git_branch.clone(), ..with(&app, &wanted) };
    if has_env {
        next.env_sealed = seal(id, "env", &wanted.env)?;
    }
    if has_preview_env {
        next.preview_env_sealed = seal(id, "preview_env", &wanted.preview_env)?;
    }
    if tx.app_change(&next).await? != Swap::Done {
        return Err(leaving().into());
    }
    for preview in tx.app_list_previews(id).await? {
        let mut follows = with(&preview, &wanted);
        if has_preview_env {
            follows.env_sealed = seal(preview.id, "env", &wanted.preview_env)?;
        }
        // One that is being removed needs none of it.
        let _ = tx.app_change(&follows).await?;
    }
    let changed = tx.app_get(id).await?.unwrap_or(next);
    tx.commit().await?;
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

fn leaving() -> PublicError {
    PublicError::new(Code::Conflict, "the app is being removed")
}
