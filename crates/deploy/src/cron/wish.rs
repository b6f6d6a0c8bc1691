//! What a plan wants run at certain times, as rows.

use std::time::Duration;

use pando_node::control::Cron;
use pando_store::CronWish;
use pando_types::Timestamp;

use crate::detect::{Plan, PlannedCron};

/// Of a plan that goes live now.
pub(crate) fn of(plan: &Plan, now: Timestamp) -> Vec<CronWish> {
    plan.cron.iter().map(|cron| wish(cron, now)).collect()
}

fn wish(cron: &PlannedCron, now: Timestamp) -> CronWish {
    let next_due = Cron::parse(&cron.schedule).ok().and_then(|cron| cron.next_after(now));
    CronWish {
        name: cron.name.clone(),
        schedule: cron.schedule.clone(),
        command: cron.command.clone(),
        timeout: Duration::from_secs(cron.timeout_seconds.into()),
        is_on: cron.is_on,
        next_due: next_due.filter(|_| cron.is_on),
    }
}
