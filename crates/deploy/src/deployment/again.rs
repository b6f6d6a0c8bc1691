//! Deployments of what an earlier one made live: going back to it, or starting it anew.

use pando_store::{AppRow, DeploymentRow};
use pando_types::app::Rollback;
use pando_types::{AppId, Code, DeploymentId, OrgId, PublicError};

use super::beginning;
use super::create::{self, Order};
use super::reason::Reason;
use crate::app::find;
use crate::context::{Context, Effects};
use crate::error::DeployError;

/// Deployments that were live and can be named to go back to.
const MAX_GONE_BACK: u32 = 100;

/// Goes back to the one that is named, or to the one before that which is live.
pub(crate) async fn rollback(
    context: &Context,
    id: DeploymentId,
    org: OrgId,
    app: AppId,
    request: &Rollback,
) -> Result<DeploymentRow, DeployError> {
    let live = context.store.deployment_list_live(app, MAX_GONE_BACK).await?;
    find::one(context, org, app).await?;
    let mut tx = context.store.begin().await?;
    let app = find::kept(&mut tx, app).await?;
    let earlier = match request.deployment_id {
        Some(wanted) => live.iter().find(|row| row.id == wanted).ok_or_else(|| {
            PublicError::new(Code::Conflict, "that deployment was never live, or long ago")
                .hint("`GET /v1/apps/{id}/deploys` lists those that were")
        }),
        None => {
            let before = active(&live, &app).and_then(|active| beginning::before(&live, active));
            before.ok_or_else(|| {
                PublicError::new(Code::Conflict, "there is no earlier deployment to go back to")
            })
        }
    };
    let mut effects = Effects::default();
    let order = Order::again(earlier?, Reason::Rollback);
    let row = create::create_as(id, &mut tx, &app, order, &mut effects).await?;
    context.commit(tx, effects).await?;
    Ok(row)
}

/// Starts what is live anew. What is under way is begun anew instead: it comes next, and a push
/// that was taken would be lost.
pub(crate) async fn restart(
    context: &Context,
    id: DeploymentId,
    org: OrgId,
    app: AppId,
) -> Result<DeploymentRow, DeployError> {
    let live = context.store.deployment_list_live(app, MAX_GONE_BACK).await?;
    find::one(context, org, app).await?;
    let mut tx = context.store.begin().await?;
    let app = find::kept(&mut tx, app).await?;
    let live = active(&live, &app).ok_or_else(|| {
        PublicError::new(Code::Conflict, "nothing of the app is live").hint("deploy it")
    })?;
    let open = tx.deployment_list_open(app.id).await?;
    let order = match open.iter().max_by_key(|row| row.id) {
        Some(open) => Order::anew(open),
        None => Order::again(live, Reason::Restart),
    };
    let mut effects = Effects::default();
    let row = create::create_as(id, &mut tx, &app, order, &mut effects).await?;
    context.commit(tx, effects).await?;
    Ok(row)
}

fn active<'a>(live: &'a [DeploymentRow], app: &AppRow) -> Option<&'a DeploymentRow> {
    live.iter().find(|row| Some(row.id) == app.active_deployment)
}
