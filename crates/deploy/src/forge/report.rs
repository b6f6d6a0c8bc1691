//! The jobs that tell a forge how things are. Each looks at the rows when it
//! runs, so that many changes at once make one call, and the last word is right.

use std::sync::Arc;

use pando_store::{AppKind, AppRow, DeploymentRow, Presence, StoreError, Tx};
use pando_types::app::DeploymentStatus;
use pando_types::{AppId, DeploymentId};

use super::comment::{self, Facts, Latest};
use super::{Absent, CommitState, CommitStatus, ForgeError};
use crate::context::{Context, Effects};
use crate::deployment::reason::Reason;
use crate::deployment::state;
use crate::error::DeployError;
use crate::git::is_commit;
use crate::job::{self, Kind, Outcome, backoff};

/// How often a forge is asked at most before the matter is dropped.
const MAX_ATTEMPTS: u32 = 8;

/// Wants the forge told of a deployment that was made or ended.
pub(crate) async fn put(
    tx: &mut Tx,
    app: &AppRow,
    row: &DeploymentRow,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    if matches!(app.kind, AppKind::Preview(_)) {
        put_comment(tx, app, effects).await?;
    }
    // What the forge never heard of (a branch deployed by hand) is not told to it.
    let heard = matches!(app.kind, AppKind::Preview(_)) || row.reason == Reason::Push.as_str();
    if heard {
        let now = tx.now();
        job::put_deployment(tx, Kind::Status, app.id, row.id, now).await?;
        effects.wake.push(Kind::Status);
    }
    Ok(())
}

/// Wants a preview's comment brought up to date.
pub(crate) async fn put_comment(
    tx: &mut Tx,
    app: &AppRow,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    job::put_app(tx, Kind::Comment, app.id).await?;
    effects.wake.push(Kind::Comment);
    Ok(())
}

/// Brings a preview's comment up to date.
pub(crate) async fn comment(
    context: &Arc<Context>,
    app: AppId,
    attempts: u32,
) -> Result<Outcome, DeployError> {
    let Some(forge) = &context.forge else {
        return Ok(Outcome::Done);
    };
    let Some(app) = context.store.app_get(app).await? else {
        return Ok(Outcome::Done);
    };
    let AppKind::Preview(preview) = &app.kind else {
        return Ok(Outcome::Done);
    };
    if app.presence != Presence::Kept && is_reopened(context, &app, preview.pr_number).await? {
        return Ok(Outcome::Done);
    }
    let parent = context.store.app_get(preview.parent).await?;
    let latest = context.store.deployment_list(app.id, None, 1).await?.pop();
    let serving = match app.active_deployment {
        Some(id) => context.store.deployment_get(id).await?,
        None => None,
    };
    let failed = latest.as_ref().filter(|row| row.status == DeploymentStatus::Failed);
    let mut log = String::new();
    if let Some(row) = failed {
        let keep = |text: &str| {
            log.push_str(text);
            Ok::<_, StoreError>(())
        };
        context.logs.read(row.id, keep).await?;
    }
    let phases = latest.as_ref().map(state::phases).unwrap_or_default();
    let url = context.urls.label(&app.label);
    let facts = Facts {
        app_name: parent.as_ref().map_or(app.name.as_str(), |parent| &parent.name),
        url: &url,
        closed: app.presence != Presence::Kept,
        serving: serving.as_ref().map(|row| row.commit.as_str()),
        latest: latest.as_ref().map(|row| Latest {
            status: row.status,
            commit: &row.commit,
            error: row.error.as_deref(),
            phases: &phases,
            log_tail: &log,
        }),
    };
    let marker = comment::marker(preview.parent);
    let body = comment::body(&marker, &facts);
    let (repo, number) = (&preview.repo_full_name, preview.pr_number);
    // A preview may go late, when the forge has another pull request of that number, or
    // before it was ever told of: nobody is to learn of it by its end.
    let absent = if facts.closed { Absent::Leave } else { Absent::Make };
    let outcome = forge.upsert_comment(repo, number, &marker, &body, absent).await;
    Ok(told(outcome, "comment", attempts))
}

/// Whether the pull request has another preview of the same app by now: the comment is that one's.
async fn is_reopened(context: &Context, app: &AppRow, pr_number: u64) -> Result<bool, StoreError> {
    let mut tx = context.store.begin().await?;
    let kept = tx.app_list_pull_request(&app.repo_key, pr_number).await?;
    Ok(kept.iter().any(|kept| kept.label == app.label))
}

/// Says at a commit how its deployment is.
pub(crate) async fn status(
    context: &Arc<Context>,
    id: DeploymentId,
    attempts: u32,
) -> Result<Outcome, DeployError> {
    let Some(forge) = &context.forge else {
        return Ok(Outcome::Done);
    };
    let Some(row) = context.store.deployment_get(id).await? else {
        return Ok(Outcome::Done);
    };
    let Some(app) = context.store.app_get(row.app).await? else {
        return Ok(Outcome::Done);
    };
    let repo = match &app.kind {
        AppKind::Preview(preview) => preview.repo_full_name.clone(),
        AppKind::App => {
            context.mirrors.parse(&app.git_url).map(|url| url.full_name()).unwrap_or_default()
        }
    };
    // A newer deployment of the same commit has the last word on it.
    let newest = context.store.deployment_list(app.id, None, 1).await?.pop();
    let outdone = newest.is_some_and(|newest| newest.id != row.id && newest.commit == row.commit);
    if repo.is_empty() || !is_commit(&row.commit) || outdone {
        return Ok(Outcome::Done);
    }
    let url = context.urls.label(&app.label);
    let status = CommitStatus { target_url: Some(url), ..describe(&row) };
    Ok(told(forge.set_status(&repo, &status).await, "status", attempts))
}

fn describe(row: &DeploymentRow) -> CommitStatus {
    let (state, description) = match row.status {
        DeploymentStatus::Live => (CommitState::Success, "Live".to_owned()),
        DeploymentStatus::Failed => {
            let why = row.error.as_deref().unwrap_or("see the log");
            (CommitState::Failure, format!("Failed: {why}"))
        }
        DeploymentStatus::Cancelled => {
            let why = row.error.as_deref().unwrap_or("its app was removed");
            (CommitState::Error, format!("Cancelled: {why}"))
        }
        DeploymentStatus::Superseded => {
            (CommitState::Error, "A newer commit took its place".to_owned())
        }
        _ => (CommitState::Pending, "Being deployed".to_owned()),
    };
    CommitStatus { sha: row.commit.clone(), state, description, target_url: None }
}

/// A forge that fails is asked again, and then no more: nothing of ours waits for it.
fn told(outcome: Result<(), ForgeError>, what: &'static str, attempts: u32) -> Outcome {
    let Err(error) = outcome else {
        return Outcome::Done;
    };
    let error = &error as &dyn std::error::Error;
    if attempts >= MAX_ATTEMPTS {
        tracing::error!(error, what, attempts, "the forge was not told");
        return Outcome::Done;
    }
    tracing::warn!(error, what, attempts, "the forge was not told; it is tried again");
    Outcome::Again(backoff(attempts) * 2)
}
