//! Adding a domain to an app.

use pando_store::{DomainRow, Insert};
use pando_types::domain::{AddDomain, AppDomain, DomainName, DomainStatus};
use pando_types::limits::MAX_DOMAINS;
use pando_types::{AppId, Code, DomainId, Generation, OrgId, PublicError};

use super::view;
use crate::app::find;
use crate::context::{Context, Effects};
use crate::error::DeployError;
use crate::job::{self, Kind};

/// Whether a domain was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It was not.
    New,
    /// It was: it is only looked up again.
    Known,
}

/// Adds a claim, and has it looked up at once. `api_host` is the host by which the request came.
pub(crate) async fn add(
    context: &Context,
    org: OrgId,
    app: AppId,
    request: &AddDomain,
    api_host: Option<&str>,
) -> Result<(Added, AppDomain), DeployError> {
    let name = judge(context, &request.domain, api_host)?;
    let (mut tx, app) = find::to_change(context, org, app).await?;
    let mut row = DomainRow {
        id: DomainId::new(),
        org,
        app: app.id,
        name: name.as_str().to_owned(),
        status: DomainStatus::Pending,
        reason: None,
        missing: None,
        checked: None,
        revision: Generation::first(),
        created: tx.now(),
    };
    let mut added = Added::New;
    if tx.domain_insert(&row).await? == Insert::Exists {
        added = Added::Known;
        row = context.store.domain_named(app.id, name.as_str()).await?.unwrap_or(row);
    } else if tx.domain_count(app.id).await? > u64::from(MAX_DOMAINS) {
        let message = format!("an app has at most {MAX_DOMAINS} domains");
        return Err(PublicError::new(Code::Conflict, message).hint("remove one first").into());
    }
    let now = tx.now();
    job::put_domain(&mut tx, app.id, row.id, now).await?;
    let effects = Effects { wake: vec![Kind::Domain], ..Effects::default() };
    context.commit(tx, effects).await?;
    Ok((added, view::domain(&row, &app.label, &context.urls)))
}

/// The name, if it is one that an app here can have.
fn judge(context: &Context, text: &str, api_host: Option<&str>) -> Result<DomainName, PublicError> {
    let refused = |message: String| PublicError::invalid("domain", message);
    let name: DomainName = text.parse().map_err(|error| refused(format!("{error}")))?;
    let suffix = context.urls.name().to_ascii_lowercase();
    if name.is_within(&suffix) {
        let message = format!("`{name}` is this server's own: the hosts under {suffix} are given");
        return Err(refused(message));
    }
    let host = api_host.and_then(|host| host.split(':').next()).unwrap_or_default();
    if host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(name.as_str()) {
        return Err(refused(format!("`{name}` is the API's own host")));
    }
    Ok(name)
}
