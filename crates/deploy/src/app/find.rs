//! Finding apps for their owner.

use pando_store::{AppKind, AppRow, Presence, Tx};
use pando_types::{AppId, Code, OrgId, PublicError};

use crate::context::Context;
use crate::error::DeployError;

/// One app of an org that is not gone.
pub(crate) async fn one(context: &Context, org: OrgId, id: AppId) -> Result<AppRow, DeployError> {
    let row = ever(context, org, id).await?;
    if row.presence == Presence::Gone { Err(missing(id)) } else { Ok(row) }
}

/// One app of an org, also when it is gone.
pub(crate) async fn ever(context: &Context, org: OrgId, id: AppId) -> Result<AppRow, DeployError> {
    let row = context.store.app_get(id).await?;
    row.filter(|row| row.org == org).ok_or_else(|| missing(id))
}

/// An app that is there to stay: again, now that nobody else writes.
pub(crate) async fn kept(tx: &mut Tx, id: AppId) -> Result<AppRow, DeployError> {
    let app = tx.app_get(id).await?.filter(|app| app.presence == Presence::Kept);
    Ok(app.ok_or_else(leaving)?)
}

/// An app that is there to stay and no preview, in a transaction that may change it.
pub(crate) async fn to_change(
    context: &Context,
    org: OrgId,
    id: AppId,
) -> Result<(Tx, AppRow), DeployError> {
    let found = one(context, org, id).await?;
    let mut tx = context.store.begin().await?;
    let app = kept(&mut tx, found.id).await?;
    if let AppKind::Preview(preview) = &app.kind {
        let message = "a preview has the settings of its app";
        let hint = format!("change the app, {}: its previews follow", preview.parent);
        return Err(PublicError::new(Code::Conflict, message).hint(hint).into());
    }
    Ok((tx, app))
}

/// The refusal of changing what is on its way out.
pub(crate) fn leaving() -> PublicError {
    PublicError::new(Code::Conflict, "the app is being removed")
}

fn missing(id: AppId) -> DeployError {
    DeployError::Refused(PublicError::not_found("app", id))
}
