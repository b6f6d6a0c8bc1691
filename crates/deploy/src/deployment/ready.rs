//! Deployments that need not be built: what an earlier one left is begun with.

use pando_node::control::AppMachine;
use pando_node::fault::{self, Fault};
use pando_store::DeploymentRow;
use pando_types::{DeploymentId, SnapshotId};

use super::beginning::{self, Beginning};
use super::check::Settle;
use super::command::Step;
use super::machine::enter_image;
use super::plan_of;
use super::run::{Halt, Run};
use super::shape::Shape;
use super::state::{self, Event};
use crate::context::Context;
use crate::error::DeployError;
use crate::layer;

/// How many deployments that were live are looked through for the same.
const LOOKED_THROUGH: u32 = 20;
/// How many times what was brought back was brought back itself, at most.
const MAX_CHAIN: usize = 100;

/// A deployment, the one that it brought back, and so on to the one that was built.
pub(super) async fn chain(
    context: &Context,
    origin: DeploymentId,
) -> Result<Vec<DeploymentRow>, DeployError> {
    let mut chain = Vec::new();
    let mut next = Some(origin);
    while let Some(id) = next.filter(|_| chain.len() < MAX_CHAIN) {
        let Some(row) = context.store.deployment_get(id).await? else { break };
        next = row.origin;
        chain.push(row);
    }
    Ok(chain)
}

impl Run {
    /// Brings back the deployment that this one is to bring back; whether it could.
    pub(super) async fn bring_back(&mut self, origin: DeploymentId) -> Result<bool, Halt> {
        let chain = chain(&self.context, origin).await?;
        for beginning in beginning::of_origin(&self.row.reason, &chain) {
            if self.begin_with(beginning, &chain[0]).await? {
                return Ok(true);
            }
        }
        self.say("What was kept of it is there no more, so its commit is built anew.").await;
        let mut next = self.row.clone();
        next.origin = None;
        self.save(next).await?;
        Ok(false)
    }

    /// Brings back a deployment of the same commit and settings; whether there was one.
    pub(super) async fn begin_with_the_same(&mut self) -> Result<bool, Halt> {
        let live = self.context.store.deployment_list_live(self.row.app, LOOKED_THROUGH).await?;
        let Some(beginning) = beginning::of_the_same(&self.row, &live) else { return Ok(false) };
        let (Beginning::Ready { of, .. } | Beginning::Built { of }) = beginning;
        let Some(origin) = live.iter().find(|row| row.id == of) else { return Ok(false) };
        self.begin_with(beginning, origin).await
    }

    async fn begin_with(
        &mut self,
        beginning: Beginning,
        origin: &DeploymentRow,
    ) -> Result<bool, Halt> {
        // Whatever it is, it was started by that plan.
        let Some(plan) = plan_of(origin) else { return Ok(false) };
        let (begins, event) = match beginning {
            Beginning::Ready { snapshot, .. } => {
                (AppMachine::Ready(snapshot), Event::NothingToRelease)
            }
            Beginning::Built { of } => {
                let Ok(name) = layer::built(self.row.app, of) else { return Ok(false) };
                (AppMachine::Disk(name), Event::NothingToBuild)
            }
        };
        let now = self.context.store.now();
        let mut next = state::advance(&self.row, event, now).ok_or(Halt::Ended)?;
        next.origin = Some(origin.id);
        next.commit.clone_from(&origin.commit);
        next.plan.clone_from(&origin.plan);
        let Some(machine) = self.create(begins, &plan).await? else { return Ok(false) };
        next.sandbox = self.row.sandbox;
        self.port = Shape::of(&self.app, &plan).port;
        match beginning {
            Beginning::Ready { snapshot, .. } => {
                next.settings_hash.clone_from(&origin.settings_hash);
                next.snapshot = Some(snapshot);
                self.save(next).await?;
                self.say(format!(
                    "Going on with the machine of deployment {}, as it was when it was ready.",
                    origin.id.short()
                ))
                .await;
                self.step_done().await?;
                self.check(&*machine, &plan, Settle::Skip).await?;
            }
            Beginning::Built { .. } => {
                self.save(next).await?;
                self.say(format!("Starting what deployment {} built.", origin.id.short())).await;
                enter_image(&*machine, &plan).await?;
                // The disk is as it was before: what release writes to it is not there.
                self.command(&*machine, Step::Release, &plan).await?;
                self.step_done().await?;
                self.start(&*machine, &plan, &plan.serve).await?;
                self.step_done().await?;
                self.check(&*machine, &plan, Settle::Watch).await?;
                self.keep_ready().await?;
            }
        }
        Ok(true)
    }

    /// Keeps the machine as it is, ready and with nobody's request in it. The deployment goes
    /// live without, too.
    pub(super) async fn keep_ready(&mut self) -> Result<(), Halt> {
        let sandbox = self.row.sandbox.ok_or(Halt::Ended)?;
        let snapshot = SnapshotId::new();
        let mut named = self.row.clone();
        named.snapshot = Some(snapshot);
        self.save(named).await?;
        fault::point(Fault::DeployReadyNamed);
        let kept = self.context.machines.keep_ready(self.row.org, sandbox, snapshot).await;
        if let Err(error) = kept {
            let mut without = self.row.clone();
            without.snapshot = None;
            self.save(without).await?;
            self.say(format!("It is not kept for a rollback: {error}.")).await;
        }
        fault::point(Fault::DeployReadyKept);
        Ok(())
    }
}
