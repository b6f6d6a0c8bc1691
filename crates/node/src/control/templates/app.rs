//! The image of an app: built in a machine that has the app's disk, to which its tree goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use pando_guest_protocol::control::APP_IMAGE;
use pando_types::limits::{APP_DISK_BYTES, MAX_DOCKERFILE_BYTES};
use pando_types::template::TemplateConfig;
use pando_types::{OrgId, SandboxId};
use pando_vm::driver::SPARE_DISK_BYTES;
use tokio::sync::mpsc;

use super::builder::{Builder, FULL, step};
use super::halt::Halt;
use super::image::Image;
use super::layers::Layers;
use super::log::BuildLog;
use crate::control::sandboxes::Sandboxes;
use crate::node::{BegunDisk, NodeError};
use crate::sandbox::spare::{Disk, Spare};

/// Which spare disk of the machine the layers are on: after the app's own, before `base`'s.
const LAYERS: usize = 1;

/// What is to be built, in the machine.
#[derive(Debug, Clone)]
pub struct AppImage {
    /// The path of the Dockerfile.
    pub dockerfile: String,
    /// The path of the folder that it may copy from.
    pub context: String,
    /// What its steps may mount, and the image has nothing of: names and values.
    pub secrets: BTreeMap<String, String>,
}

/// Where the lines of such a build go.
#[derive(Clone)]
pub struct AppImageLog {
    /// Who takes them.
    pub lines: mpsc::Sender<Vec<String>>,
    /// A line as people may see it.
    pub shown: Arc<dyn Fn(String) -> String + Send + Sync>,
}

/// Why there is no image: what its owner is told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AppImageError(String);

impl BuildLog for AppImageLog {
    fn shown(&self, line: String) -> String {
        (self.shown)(line)
    }

    async fn lines(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            // Who takes them no more has given the build up.
            let _ = self.lines.send(lines.to_vec()).await;
        }
    }
}

impl Sandboxes {
    /// The disks that a machine needs for this beside the app's own; the layers' file stays
    /// while it is held.
    pub(in crate::control) async fn image_disks(
        &self,
        org: OrgId,
    ) -> Result<(Vec<Spare>, Option<BegunDisk>), NodeError> {
        let (layers, link) = (self.layers(org), self.node.data().grave());
        let kept = self.node.on_disk(move || layers.find(link)).await?;
        let kept = kept.map(|file| BegunDisk::of(file, SPARE_DISK_BYTES));
        let (of, _) = self.node.base_disk().await?;
        let layers = kept.as_ref().map_or(Disk::Blank, BegunDisk::disk);
        let base = Disk::Begun { of, bytes: SPARE_DISK_BYTES };
        Ok(([layers, base].map(Spare::unmounted).into(), kept))
    }

    /// Builds an image in a sandbox that is for that, and puts its tree on the app's disk, in
    /// place of all that is in the app's folder; returns what the image says runs in it.
    ///
    /// # Errors
    /// [`AppImageError`].
    pub async fn build_app_image(
        &self,
        org: OrgId,
        id: SandboxId,
        image: AppImage,
        log: AppImageLog,
    ) -> Result<TemplateConfig, AppImageError> {
        self.build_in(org, id, image, log).await.map_err(|halt| match halt {
            Halt::Failed(error) => AppImageError(error),
            Halt::Internal(cause) => {
                tracing::error!(sandbox = id.short(), cause, "an image was not built");
                AppImageError("the server failed; its log holds the cause".to_owned())
            }
        })
    }

    async fn build_in(
        &self,
        org: OrgId,
        id: SandboxId,
        image: AppImage,
        mut log: AppImageLog,
    ) -> Result<TemplateConfig, Halt> {
        let (node, layers) = (&self.node, self.layers(org));
        let builder = Builder::reach(node, id, org).await?;
        builder.prepare(&mut log, node, &layers, LAYERS).await?;
        let path = [image.dockerfile.as_str()];
        let text = builder.ask(step("cat -- \"$1\"", &path), MAX_DOCKERFILE_BYTES).await?;
        let built = Image {
            dockerfile: &image.dockerfile,
            text: &String::from_utf8_lossy(&text),
            context: &image.context,
            secrets: image.secrets,
        };
        let config = builder.build(&mut log, built).await?;
        let fill = step(include_str!("scripts/fill_app.sh"), &[APP_IMAGE]);
        let (done, heard) = builder.run(&mut log, fill).await?;
        if done.exit_code != 0 {
            let said = heard.cause.unwrap_or_else(|| format!("exit code {}", done.exit_code));
            return Err(Halt::Failed(if done.exit_code == FULL {
                let gib = APP_DISK_BYTES >> 30;
                format!("the image does not fit on the app's disk of {gib} GiB ({said})")
            } else {
                format!("the image could not be put on the app's disk: {said}")
            }));
        }
        builder.close(&mut log).await?;
        layers.keep_of(node, id, LAYERS).await?;
        Ok(config)
    }

    fn layers(&self, org: OrgId) -> Layers {
        Layers::new(self.node.data().clone(), org, self.node.layers_version())
    }
}
