//! Installing: on an empty disk, or on a layer, where nothing is left to install.

use pando_node::DiskName;
use pando_node::control::AppMachine;

use super::command::Step;
use super::machine::settle_disk;
use super::run::{Halt, Run};
use crate::detect::Plan;
use crate::git::{Mirror, TreeEntry};
use crate::layer::{Layer, Recipe};
use crate::machine::Machine;

impl Run {
    /// The machine that builds, with the commit's tree in it and all that it needs.
    pub(super) async fn install(
        &mut self,
        mirror: &Mirror,
        plan: &Plan,
    ) -> Result<Box<dyn Machine>, Halt> {
        let listing = mirror.listing();
        let layer = self.layer(plan, &listing);
        if let Some(layer) = &layer
            && let Some(machine) = self.on_a_layer(layer, plan).await?
        {
            self.unpack(&*machine, mirror, &listing, true).await?;
            self.say("Nothing to install: the lockfiles and all else that install reads are those of an earlier deployment.").await;
            self.command(&*machine, Step::Hooks, plan).await?;
            return Ok(machine);
        }
        let machine = self.create(AppMachine::Empty, plan).await?.ok_or(Halt::Ended)?;
        self.unpack(&*machine, mirror, &listing, false).await?;
        self.tools(&*machine, plan).await?;
        self.command(&*machine, Step::Install, plan).await?;
        if let Some(layer) = layer {
            self.keep_layer(&*machine, &layer).await?;
        }
        Ok(machine)
    }

    /// What the layer of this install is known by; none where there is nothing to install.
    fn layer(&self, plan: &Plan, listing: &[TreeEntry]) -> Option<Layer> {
        let install = plan.install.as_deref().unwrap_or_default();
        if install.is_empty() && plan.tools.is_empty() {
            return None;
        }
        let recipe = Recipe {
            template: &self.template.name,
            template_version: &self.template.version,
            tools: Recipe::tools(&plan.tools),
            install_folder: &plan.install_folder,
            install,
            env: plan.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            reads_all: plan.install_reads_all,
            listing,
        };
        Some(Layer::of(&self.app, recipe.hash(), &self.env_fingerprint))
    }

    /// A machine that begins with the layer, where there is one for this app.
    async fn on_a_layer(
        &mut self,
        layer: &Layer,
        plan: &Plan,
    ) -> Result<Option<Box<dyn Machine>>, Halt> {
        if self.row.is_fresh {
            return Ok(None);
        }
        let own = self.context.machines.disks(layer.own_prefix()).await;
        let own =
            own.map_err(|error| Halt::Failed(format!("layers could not be read: {error}")))?;
        let parents = layer.parents_name().into_iter().filter_map(Result::ok);
        let names: Vec<DiskName> = own.into_iter().chain(parents).collect();
        for name in names {
            if let Some(machine) = self.create(AppMachine::Disk(name), plan).await? {
                return Ok(Some(machine));
            }
        }
        Ok(None)
    }

    /// Keeps what was installed. The deployment goes on without, too.
    async fn keep_layer(&self, machine: &dyn Machine, layer: &Layer) -> Result<(), Halt> {
        settle_disk(machine).await?;
        let (sandbox, Ok(name)) = (self.row.sandbox.ok_or(Halt::Ended)?, layer.name()) else {
            return Ok(());
        };
        if let Err(error) = self.context.machines.keep_disk(self.row.org, sandbox, &name).await {
            self.say(format!("What was installed is not kept for the next deployment: {error}."))
                .await;
        }
        Ok(())
    }
}
