//! Finding apps for their owner.

use pando_store::{AppRow, Presence};
use pando_types::{AppId, OrgId, PublicError};

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

fn missing(id: AppId) -> DeployError {
    DeployError::Refused(PublicError::not_found("app", id))
}
