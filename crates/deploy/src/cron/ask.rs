//! A run that somebody wants at once, whether or not it is due at any time.

use pando_store::Swap;
use pando_types::cron::AppCron;
use pando_types::{AppId, Code, OrgId, PublicError};

use super::list::shown;
use crate::app;
use crate::context::Context;
use crate::deployment::once;
use crate::error::DeployError;

/// Wants a run; the keeper begins it.
pub(crate) async fn ask(
    context: &Context,
    org: OrgId,
    app: AppId,
    name: &str,
) -> Result<AppCron, DeployError> {
    let app = app::find::one(context, org, app).await?;
    once::sandbox(&app)?;
    let missing = || {
        PublicError::not_found("cron", name)
            .hint("`GET /v1/apps/{id}/cron` lists those of what is live")
    };
    let mut row = context.store.cron_get(app.id, name).await?.ok_or_else(missing)?;
    let now = context.store.now();
    match context.store.cron_ask(app.id, name, now).await? {
        Swap::Done => row.asked = Some(now),
        Swap::Missing => return Err(missing().into()),
        Swap::Stale => {
            let message = format!("`{name}` runs, or is about to; it runs once at a time");
            return Err(PublicError::new(Code::Conflict, message).into());
        }
    }
    context.cron_changed.notify_one();
    Ok(shown(&row))
}
