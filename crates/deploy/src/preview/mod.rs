//! Previews: apps whose life is tied to one pull request.

pub(crate) mod close;
pub(crate) mod sweep;

use pando_store::{AppKind, AppRow, Insert, Presence, PreviewOf, StoreError, Tx};
use pando_types::app::DeploymentStatus;
use pando_types::route::RouteTarget;
use pando_types::{AppId, Code, PublicError, Timestamp};

use crate::app::env::Environments;
use crate::app::label;
use crate::context::{Context, Effects};
use crate::deployment::create::{self, Order};
use crate::deployment::reason::Reason;
use crate::deployment::supersede;
use crate::error::DeployError;
use crate::webhook::event::PullRequest;
use crate::webhook::verdict::Verdict;

pub(crate) const PUSH: Reason = Reason::Push;
pub(crate) const PULL_REQUEST: Reason = Reason::PullRequest;

/// What a forge says is to be deployed.
pub(crate) struct Head<'a> {
    pub git_ref: &'a str,
    pub commit: &'a str,
    /// Since when it is the head, by the forge's clock; `None` where it does not say, and for
    /// pull requests, whose late events do not come this far.
    pub since: Option<Timestamp>,
    pub reason: Reason,
}

/// The pull request's preview of an app; made where there is none, with the app's
/// settings and the environment that it has for previews: never the app's own.
pub(crate) async fn ensure(
    context: &Context,
    tx: &mut Tx,
    app: &AppRow,
    pull: &PullRequest,
    effects: &mut Effects,
) -> Result<AppRow, DeployError> {
    let kept = tx.app_list_pull_request(&app.repo_key, pull.number).await?;
    if let Some(row) = kept.into_iter().find(|row| is_of(row, app.id)) {
        return Ok(row);
    }
    let (id, now) = (AppId::new(), tx.now());
    let env = Environments::open(&context.sealer, app)?;
    let inherited = Environments { own: env.previews, ..Environments::default() };
    let row = AppRow {
        id,
        kind: AppKind::Preview(PreviewOf {
            parent: app.id,
            pr_number: pull.number,
            repo_full_name: pull.repository.full_name.clone(),
        }),
        name: format!("pr-{}-{}", pull.number, app.name),
        label: label::preview(pull.number, &app.name, app.id),
        git_branch: pull.head_branch.clone(),
        // It is read as its app's is.
        git_token_sealed: None,
        deploy_key: None,
        active_deployment: None,
        active_sandbox: None,
        presence: Presence::Kept,
        created: now,
        updated: now,
        latest: None,
        ..app.clone()
    };
    let row = inherited.seal(&context.sealer, row)?;
    if tx.app_insert(&row).await? == Insert::Exists {
        let message = format!("the host `{}` belongs to another app; rename that one", row.label);
        return Err(PublicError::new(Code::Conflict, message).into());
    }
    let target = RouteTarget { sandbox: None, port: row.port };
    effects.routes.push(tx.route_put(id, &row.label, Some(target)).await?);
    Ok(row)
}

fn is_of(row: &AppRow, app: AppId) -> bool {
    matches!(&row.kind, AppKind::Preview(preview) if preview.parent == app)
}

/// Deploys a head, unless it is live or on its way already, or a newer one came before it: a
/// delivery that failed may come again days later.
pub(crate) async fn deploy(
    tx: &mut Tx,
    app: &AppRow,
    head: &Head<'_>,
    verdict: &mut Verdict,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    let short = head.commit.get(..7).unwrap_or(head.commit);
    if let Some(since) = head.since
        && !tx.app_told(app.id, since).await?
    {
        verdict.reasons.push(format!("{short} is older than what {} was told of", app.name));
        return Ok(());
    }
    let open = tx.deployment_list_open(app.id).await?;
    if open.last().is_some_and(|row| row.commit == head.commit) {
        verdict.reasons.push(format!("{short} is being deployed to {} already", app.name));
        return Ok(());
    }
    let live = match app.active_deployment {
        Some(id) => tx.deployment_get(id).await?,
        None => None,
    };
    let live = live.filter(|row| row.status == DeploymentStatus::Live && row.commit == head.commit);
    if live.is_some() {
        // What is on its way is not the head any more.
        supersede::all_open(tx, app, effects).await?;
        verdict.reasons.push(format!("{short} is live on {} already", app.name));
        return Ok(());
    }
    let row =
        create::create(tx, app, Order::of(head.git_ref, head.commit, head.reason), effects).await?;
    verdict.deployments.push(row.id);
    verdict.reasons.push(format!("{short} goes to {}", app.name));
    Ok(())
}
