//! Removing an app or a preview. First the wish, with which its host leads
//! nowhere; then all that bears its id; its row last.

use std::sync::Arc;
use std::time::Duration;

use pando_store::{AppKind, AppRow, Presence, StoreError, Swap, Tx};
use pando_types::{AppId, OrgId};

use crate::context::{Context, Effects};
use crate::deployment::{prune, supersede};
use crate::domain;
use crate::error::DeployError;
use crate::forge::report;
use crate::job::{self, Kind, Outcome};

/// How soon to look again at a deployment whose task has not stopped yet.
const STILL_RUNNING: Duration = Duration::from_millis(500);

/// Wants an app gone, and its previews with it. Wanting it twice is wanting it once, also
/// when it is gone by then: whoever asks again cannot know how far the removal is.
pub(crate) async fn want(context: &Context, org: OrgId, id: AppId) -> Result<(), DeployError> {
    let app = super::find::ever(context, org, id).await?;
    let mut tx = context.store.begin().await?;
    let mut effects = Effects::default();
    for preview in tx.app_list_previews(app.id).await? {
        leave(&mut tx, &preview, "its app was removed", &mut effects).await?;
    }
    leave(&mut tx, &app, "its app was removed", &mut effects).await?;
    context.commit(tx, effects).await?;
    Ok(())
}

/// Wishes one app or preview gone; its job does the rest.
pub(crate) async fn leave(
    tx: &mut Tx,
    app: &AppRow,
    why: &str,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    let (swap, route) = tx.app_leave(app).await?;
    if swap != Swap::Done {
        return Ok(());
    }
    effects.routes.extend(route);
    domain::remove::forget(tx, app.id, None, effects).await?;
    supersede::cancel_open(tx, app, why, effects).await?;
    tx.cron_set(app.id, &[]).await?;
    job::put_app(tx, Kind::Remove, app.id).await?;
    effects.wake.push(Kind::Remove);
    Ok(())
}

/// Removes what is left of a leaving app. Only what bears its id is touched.
pub(crate) async fn run(context: &Arc<Context>, id: AppId) -> Result<Outcome, DeployError> {
    let Some(app) = context.store.app_get(id).await? else {
        return Ok(Outcome::Done);
    };
    match app.presence {
        Presence::Kept => return Ok(Outcome::Done),
        Presence::Leaving => {}
        // The server ended between its row and the rest.
        Presence::Gone => return forget_mirrors(context, &app).await,
    }
    // A task that is being stopped may still have a sandbox in the making; its own
    // end lets us in.
    if context.running.serves(id) {
        return Ok(Outcome::Again(STILL_RUNNING));
    }
    for (sandbox, _) in context.machines.list(id).await? {
        context.machines.remove(app.org, sandbox).await?;
        tracing::info!(sandbox = sandbox.short(), app = id.short(), "sandbox removed");
    }
    prune::forget_all(context, id).await?;
    let mut tx = context.store.begin().await?;
    let _ = tx.app_bury(id).await?;
    let mut effects = Effects::default();
    if matches!(app.kind, AppKind::Preview(_)) {
        report::put_comment(&mut tx, &app, &mut effects).await?;
    }
    context.commit(tx, effects).await?;
    forget_mirrors(context, &app).await
}

/// Removes the mirrors of an app that is gone, unless another one of its org has the same.
async fn forget_mirrors(context: &Context, app: &AppRow) -> Result<Outcome, DeployError> {
    let Ok(url) = context.mirrors.parse(&app.git_url) else { return Ok(Outcome::Done) };
    let others = context.store.app_list_addresses(app.org, &app.repo_key).await?;
    // One that reads the repository in another way (ssh, say) has mirrors of its own.
    let mut others = others.iter().filter_map(|other| context.mirrors.parse(other).ok());
    if !others.any(|other| other.has_mirrors_of(&url))
        && let Err(error) = context.mirrors.remove(app.org, &url).await
    {
        // Only room on the disk: the next fetch makes it anew.
        tracing::warn!(error = &error as &dyn std::error::Error, "a mirror was not removed");
    }
    Ok(Outcome::Done)
}
