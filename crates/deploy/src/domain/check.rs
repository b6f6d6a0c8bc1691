//! Looking up a claim, and writing what follows.

use pando_store::{AppRow, DomainRow, Presence, Swap};
use pando_types::domain::{AppDomain, DomainStatus};
use pando_types::{AppId, DomainId, OrgId};

use super::policy::{self, Finding};
use super::{look, one};
use crate::context::{Context, Effects};
use crate::error::DeployError;
use crate::job::Outcome;

/// How often it is looked up anew for one who asks, when something else was found meanwhile.
const TRIES: usize = 3;

/// Looks a domain up now, for whoever asks.
pub(crate) async fn ask(
    context: &Context,
    org: OrgId,
    app: AppId,
    domain: &str,
) -> Result<AppDomain, DeployError> {
    for _ in 0..TRIES {
        let row = one(context, org, app, domain).await?;
        if check(context, &row).await? {
            break;
        }
    }
    super::list::get(context, org, app, domain).await
}

/// The job that looks a domain up again and again; it ends with the claim.
pub(crate) async fn run(
    context: &Context,
    id: DomainId,
    attempts: u32,
) -> Result<Outcome, DeployError> {
    if let Some(row) = context.store.domain_get(id).await? {
        check(context, &row).await?;
    }
    let row = context.store.domain_get(id).await?;
    Ok(row.map_or(Outcome::Done, |row| Outcome::Again(policy::pause(&row, attempts))))
}

/// Looks a claim up; false, and nothing is written, where somebody else did so meanwhile.
async fn check(context: &Context, row: &DomainRow) -> Result<bool, DeployError> {
    let Some(app) = kept(context, row).await? else { return Ok(true) };
    let finding = found(context, row, &app).await;
    let mut next = policy::after(row, &finding, context.store.now());
    let mut passed_on = None;
    if finding == Finding::Proven && row.status != DomainStatus::Active {
        match context.store.domain_active(&row.name).await? {
            Some(holder) if holds(context, &holder).await? => {
                next = policy::taken(row, context.store.now());
            }
            Some(holder) => {
                passed_on = Some((policy::passed_on(&holder, context.store.now()), holder));
            }
            None => {}
        }
    }
    let mut tx = context.store.begin().await?;
    if let Some((after, holder)) = &passed_on
        && tx.domain_settle(holder, after).await? == Swap::Stale
    {
        return Ok(false);
    }
    if tx.domain_settle(row, &next).await? != Swap::Done {
        return Ok(false);
    }
    let mut effects = Effects::default();
    if next.status != row.status {
        let (from, to) = (row.status, next.status);
        tracing::info!(domain = row.name, app = app.id.short(), ?from, ?to, "domain looked up");
    }
    let label = match (row.status, next.status) {
        (DomainStatus::Active, DomainStatus::Active) => None,
        (_, DomainStatus::Active) => Some(Some(app.label.as_str())),
        (DomainStatus::Active, _) => Some(None),
        _ => None,
    };
    if let Some(label) = label {
        effects.domains.push(tx.domain_route_put(&row.name, label).await?);
    }
    context.commit(tx, effects).await?;
    Ok(true)
}

/// Whether who has the name may keep it: its record is there, or nobody can tell.
async fn holds(context: &Context, holder: &DomainRow) -> Result<bool, DeployError> {
    let Some(app) = kept(context, holder).await? else { return Ok(false) };
    let finding = found(context, holder, &app).await;
    Ok(matches!(finding, Finding::Proven | Finding::Unknown(_)))
}

async fn kept(context: &Context, row: &DomainRow) -> Result<Option<AppRow>, DeployError> {
    let app = context.store.app_get(row.app).await?;
    Ok(app.filter(|app| app.presence == Presence::Kept))
}

async fn found(context: &Context, row: &DomainRow, app: &AppRow) -> Finding {
    look::look(&context.dns, row, &context.urls.host(&app.label)).await
}
