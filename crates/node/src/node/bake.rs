//! The templates that are for all, and their machines.

use std::sync::Arc;

use pando_types::limits::{DEFAULT_CPU, DEFAULT_MEMORY_MIB};
use pando_types::sandbox::Template;
use pando_vm::driver::Shape;

use super::{Node, NodeError};
use crate::bake::{Machine, Recipe};

impl Node {
    /// Bakes the machine of a template and size, unless it is there.
    ///
    /// # Errors
    /// [`NodeError::UnknownTemplate`], [`NodeError::Bake`].
    pub async fn bake(&self, template: &str, shape: Shape) -> Result<(), NodeError> {
        self.machine(template, shape).await.map(drop)
    }

    /// The same of one that is asked for first and most: it stays ready, however short the
    /// disk is, until the server stops.
    ///
    /// # Errors
    /// As [`Node::bake`].
    pub async fn keep_ready(&self, template: &str, shape: Shape) -> Result<(), NodeError> {
        self.shared.bakery.keep(self.machine(template, shape).await?);
        Ok(())
    }

    pub(super) async fn machine(
        &self,
        template: &str,
        shape: Shape,
    ) -> Result<Arc<Machine>, NodeError> {
        let recipe = self.shared.bakery.recipe(template);
        let recipe = recipe.ok_or_else(|| self.unknown_template(template))?;
        Ok(self.shared.bakery.machine(recipe, shape, || self.shared.machines()).await?)
    }

    pub(crate) fn unknown_template(&self, name: &str) -> NodeError {
        let known =
            self.shared.bakery.recipes().iter().map(|recipe| recipe.name().to_owned()).collect();
        NodeError::UnknownTemplate { name: name.chars().take(64).collect(), known }
    }

    /// The templates that sandboxes can be made from.
    #[must_use]
    pub fn templates(&self) -> Vec<Template> {
        let describe = |recipe: &Recipe| Template {
            name: recipe.name().to_owned(),
            version: recipe.version().chars().take(12).collect(),
            size_bytes: recipe.disk_bytes(),
            cpu: DEFAULT_CPU,
            memory_mb: DEFAULT_MEMORY_MIB,
            is_global: true,
            workspace: None,
            description: recipe.description().to_owned(),
            config: None,
        };
        self.shared.bakery.recipes().iter().map(describe).collect()
    }
}
