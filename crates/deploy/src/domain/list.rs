//! What domains an app has.

use pando_types::domain::{AppDomain, DomainList};
use pando_types::{AppId, OrgId};

use super::{one, view};
use crate::app::find;
use crate::context::Context;
use crate::error::DeployError;

/// All of an app.
pub(crate) async fn list(
    context: &Context,
    org: OrgId,
    app: AppId,
) -> Result<DomainList, DeployError> {
    let app = find::one(context, org, app).await?;
    let rows = context.store.domain_list(app.id).await?;
    let view = |row| view::domain(row, &app.label, &context.urls);
    Ok(DomainList { domains: rows.iter().map(view).collect() })
}

/// One of them.
pub(crate) async fn get(
    context: &Context,
    org: OrgId,
    app: AppId,
    domain: &str,
) -> Result<AppDomain, DeployError> {
    let row = one(context, org, app, domain).await?;
    let app = find::one(context, org, app).await?;
    Ok(view::domain(&row, &app.label, &context.urls))
}
