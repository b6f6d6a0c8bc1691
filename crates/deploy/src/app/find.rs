//! Finding apps for their owner.

use pando_store::{AppRow, Presence};
use pando_types::{AppId, OrgId, PublicError};

use crate::context::Context;
use crate::error::DeployError;

/// One app of an org that is not gone.
pub(crate) async fn one(context: &Context, org: OrgId, id: AppId) -> Result<AppRow, DeployError> {
    let row = context.store.app_get(id).await?;
    let row = row.filter(|row| row.org == org && row.presence != Presence::Gone);
    row.ok_or_else(|| DeployError::Refused(PublicError::not_found("app", id)))
}
