//! Removing domains: they lead nowhere when it is committed. What looks them up finds no row, and
//! ends.

use pando_store::{StoreError, Tx};
use pando_types::domain::DomainStatus;
use pando_types::{AppId, OrgId};

use super::one;
use crate::context::{Context, Effects};
use crate::error::DeployError;

/// Removes one domain of an app.
pub(crate) async fn remove(
    context: &Context,
    org: OrgId,
    app: AppId,
    domain: &str,
) -> Result<(), DeployError> {
    let row = one(context, org, app, domain).await?;
    let mut tx = context.store.begin().await?;
    let mut effects = Effects::default();
    forget(&mut tx, app, Some(&row.name), &mut effects).await?;
    Ok(context.commit(tx, effects).await?)
}

/// Takes a domain from an app, or all that it has.
pub(crate) async fn forget(
    tx: &mut Tx,
    app: AppId,
    name: Option<&str>,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    for row in tx.domain_delete(app, name).await? {
        if row.status == DomainStatus::Active {
            effects.domains.push(tx.domain_route_put(&row.name, None).await?);
        }
    }
    Ok(())
}
