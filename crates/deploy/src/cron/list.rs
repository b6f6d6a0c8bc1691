//! The cron of an app, as its owner sees it.

use pando_node::control::schedules::{shown_miss, shown_run};
use pando_store::CronRow;
use pando_types::cron::AppCron;
use pando_types::page::List;
use pando_types::{AppId, OrgId, Timestamp};

use crate::app;
use crate::context::Context;
use crate::error::DeployError;

/// By name; none where nothing was ever live.
pub(crate) async fn list(
    context: &Context,
    org: OrgId,
    app: AppId,
) -> Result<List<AppCron>, DeployError> {
    let app = app::find::one(context, org, app).await?;
    let rows = context.store.cron_list(app.id).await?;
    Ok(List::whole(rows.iter().map(shown).collect()))
}

pub(super) fn shown(row: &CronRow) -> AppCron {
    AppCron {
        name: row.name.clone(),
        schedule: row.schedule.clone(),
        command: row.command.clone(),
        timeout_seconds: row.timeout.as_secs(),
        enabled: row.is_on,
        next_due_at: row.next_due.map(Timestamp::to_rfc3339),
        asked_at: row.asked.map(Timestamp::to_rfc3339),
        running_since: row.run.map(|run| run.started.to_rfc3339()),
        last_run: row.last.as_ref().map(shown_run),
        last_miss: row.miss.as_ref().map(shown_miss),
    }
}
