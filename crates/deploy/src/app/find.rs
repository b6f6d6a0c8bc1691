//! Finding apps for their owner.

use pando_store::{AppRow, Presence};
use pando_types::{AppId, OrgId, PublicError};

use crate::context::Context;
use crate::error::DeployError;

/// Rows that one page of a list reads.
const PAGE_ROWS: u32 = 500;

/// One app of an org that is not gone.
pub(crate) async fn one(context: &Context, org: OrgId, id: AppId) -> Result<AppRow, DeployError> {
    let row = context.store.app_get(id).await?;
    let row = row.filter(|row| row.org == org && row.presence != Presence::Gone);
    row.ok_or_else(|| DeployError::Refused(PublicError::not_found("app", id)))
}

/// All apps and previews of an org that are not gone, oldest first.
pub(crate) async fn all(context: &Context, org: OrgId) -> Result<Vec<AppRow>, DeployError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = context.store.app_list(org, after, PAGE_ROWS).await?;
        after = page.last().map(|row| (row.created, row.id));
        let is_last = page.len() < PAGE_ROWS as usize;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
