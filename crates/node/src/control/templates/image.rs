//! Building a Dockerfile in a machine that builds, as far as templates and apps have it in
//! common: layers, the build itself, what the image says of itself.

use std::collections::BTreeMap;

use pando_types::limits::MAX_BUILD_TIME;
use pando_types::template::TemplateConfig;

use super::builder::{Builder, Script, step};
use super::halt::Halt;
use super::layers::Layers;
use super::log::BuildLog;
use super::{config, failure};
use crate::node::Node;

/// The file system for layers, in MiB; it takes only what is written.
const LAYERS_MIB: &str = "24576";

/// What is built, in the machine.
pub(super) struct Image<'a> {
    /// The path of the Dockerfile, and what it says.
    pub dockerfile: &'a str,
    pub text: &'a str,
    /// The path of the folder that it may copy from.
    pub context: &'a str,
    /// What its steps may mount, and the image has nothing of: names and values.
    pub secrets: BTreeMap<String, String>,
}

impl Builder {
    /// Makes ready to build, with the layers on spare disk `disk`, if there are any. Those that
    /// are of no use are not begun with again.
    pub(super) async fn prepare(
        &self,
        log: &mut impl BuildLog,
        node: &Node,
        layers: &Layers,
        disk: usize,
    ) -> Result<(), Halt> {
        let arguments = [&*disk.to_string(), LAYERS_MIB];
        let prepared = self.must(log, step(include_str!("scripts/prepare.sh"), &arguments)).await;
        if prepared.is_err() {
            let layers = layers.clone();
            node.on_disk(move || layers.forget()).await?;
        }
        prepared
    }

    /// Builds, and returns what the image says runs in it.
    pub(super) async fn build(
        &self,
        log: &mut impl BuildLog,
        image: Image<'_>,
    ) -> Result<TemplateConfig, Halt> {
        let secrets = image.secrets.keys().map(|name| format!("id={name},env={name}"));
        let secrets: Vec<String> = secrets.collect();
        let paths = [image.context, image.dockerfile];
        let arguments: Vec<&str> =
            paths.into_iter().chain(secrets.iter().map(String::as_str)).collect();
        let build = step(include_str!("scripts/build.sh"), &arguments);
        let build = Script { env: image.secrets, limit: MAX_BUILD_TIME, ..build };
        let (done, heard) = self.run(log, build).await?;
        if done.exit_code != 0 {
            return Err(Halt::Failed(failure::of_build(image.text, &done, heard)));
        }
        let inspect = step("buildah inspect --type image localhost/result", &[]);
        let json = self.ask(inspect, config::MAX_INSPECT_BYTES).await?;
        config::of_image(&json).map_err(Halt::Failed)
    }

    /// Lets go of the layers, and has everything written to the disks.
    pub(super) async fn close(&self, log: &mut impl BuildLog) -> Result<(), Halt> {
        self.must(log, step(include_str!("scripts/close.sh"), &[])).await
    }
}
