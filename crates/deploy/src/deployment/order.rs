//! What somebody asks to be deployed: a branch, a commit, or the head of what the app follows.

use pando_store::{AppKind, DeploymentRow};
use pando_types::app::CreateDeployment;
use pando_types::{AppId, DeploymentId, OrgId, PublicError};

use super::create::{self, Order};
use super::reason::Reason;
use crate::app::{branch, find};
use crate::context::{Context, Effects};
use crate::error::DeployError;
use crate::forge::late;
use crate::git::{is_branch, is_commit};

/// Queues it under this new id.
pub(crate) async fn place(
    context: &Context,
    id: DeploymentId,
    org: OrgId,
    app: AppId,
    request: CreateDeployment,
) -> Result<DeploymentRow, DeployError> {
    let app = find::one(context, org, app).await?;
    if let Some(git_ref) = &request.git_ref {
        branch::short("git_ref", git_ref)?;
    }
    let git_ref = match (request.git_ref, &app.kind) {
        (Some(git_ref), _) if is_commit(&git_ref) || is_branch(&git_ref) => git_ref,
        (Some(_), _) => {
            let message = "git_ref is a branch, a tag, or a commit of 40 hex digits";
            return Err(PublicError::invalid("git_ref", message).into());
        }
        (None, AppKind::App) => app.git_branch.clone(),
        (None, AppKind::Preview(preview)) => format!("refs/pull/{}/head", preview.pr_number),
    };
    let commit = if is_commit(&git_ref) { git_ref.as_str() } else { "" };
    let mut tx = context.store.begin().await?;
    let app = find::kept(&mut tx, app.id).await?;
    let mut effects = Effects::default();
    let mut order = Order::of(&git_ref, commit, Reason::Api);
    order.is_fresh = request.fresh.unwrap_or(false);
    let row = create::create_as(id, &mut tx, &app, order, &mut effects).await?;
    if matches!(app.kind, AppKind::App) && git_ref == app.git_branch {
        late::head_is_asked_for(&mut tx, app.id).await?;
    }
    context.commit(tx, effects).await?;
    Ok(row)
}
