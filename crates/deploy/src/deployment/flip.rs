//! The flip: the app's host leads to the new sandbox, in one transaction; the
//! former one goes on for a moment, for what is under way there.

use pando_node::fault::{self, Fault};
use pando_store::Swap;

use super::plan_of;
use super::run::{Halt, Run};
use super::state::{self, Event};
use crate::context::Effects;
use crate::cron;
use crate::forge::report;
use crate::job::{self, Kind};

impl Run {
    pub(super) async fn flip(&mut self) -> Result<(), Halt> {
        let sandbox = self.row.sandbox.ok_or(Halt::Ended)?;
        let mut tx = self.context.store.begin().await?;
        let Some(before) = tx.app_get(self.app.id).await? else {
            return Err(Halt::Ended);
        };
        let live = state::advance(&self.row, Event::StepDone, tx.now()).ok_or(Halt::Ended)?;
        let swap = tx.deployment_swap(&self.row, &live).await?;
        let flip = tx.app_flip(&self.app, self.row.id, sandbox, self.port).await?;
        // Dropped without a commit, none of it happened.
        let (Swap::Done, Some(flip)) = (swap, flip) else {
            return Err(Halt::Ended);
        };
        let plan = plan_of(&self.row);
        let wishes = plan.map(|plan| cron::wish::of(&plan, tx.now())).unwrap_or_default();
        tx.cron_set(self.app.id, &wishes).await?;
        let mut effects = Effects { routes: vec![flip.route], ..Effects::default() };
        if let Some(former) = before.active_deployment {
            let drained = tx.now().plus(self.context.drain);
            job::put_deployment(&mut tx, Kind::Sweep, self.app.id, former, drained).await?;
            effects.wake.push(Kind::Sweep);
        }
        report::put(&mut tx, &self.app, &live, &mut effects).await?;
        self.context.commit(tx, effects).await?;
        self.context.cron_changed.notify_one();
        fault::point(Fault::DeployFlipped);
        self.row = live;
        self.say(format!("Live at {}.", self.context.urls.label(&self.app.label))).await;
        Ok(())
    }
}
