//! One build, from its turn to its template.
//!
//! ```text
//! turn ─► builder: layers, steps, tree ─► root disk ─► boot ─► start ─► ready ─► snapshot ─► row
//! ```
//!
//! The user's code runs in the builder and in the sandbox that is booted; the host never
//! looks into what they wrote. A server that stops leaves it all as it is: the next one
//! fails the build and removes what has no row.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pando_store::{TemplateBuildRow, TemplateRow};
use pando_types::limits::{MAX_BUILD_TIME, MAX_TEMPLATE_READY_TIME};
use pando_types::template::TemplateConfig;
use pando_types::{Epoch, SandboxId, SnapshotId, Timestamp};
use pando_vm::driver::{SPARE_DISK_BYTES, Shape};
use pando_vm::sys::durable;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::builder::{self, Builder, FULL, Script, step};
use super::halt::Halt;
use super::image::Image;
use super::layers::Layers;
use super::log::Log;
use super::{Templates, config, dockerfile, failure, start};
use crate::bake::{BakeError, MachineError};
use crate::guest::ExecInput;
use crate::node::NodeError;
use crate::{Disk, Spare};

/// How long a build's machines may live, should nobody remove them.
const LIFE: Duration = Duration::from_secs(MAX_BUILD_TIME.as_secs() + 3600);
/// Which spare disk of a builder the layers are on.
const LAYERS: usize = 0;
/// Which one the new root disk is.
const OUTPUT: usize = 1;

/// What a template is made of.
pub(super) enum Plan {
    /// A Dockerfile, and the tar of its context where there is one.
    Dockerfile { text: String, context: Option<File> },
    /// The tar of a root file system.
    Rootfs(File),
}

/// A build that is to be done.
pub(super) struct Run {
    pub templates: Templates,
    pub row: TemplateBuildRow,
    pub shape: Shape,
    pub plan: Plan,
    pub log: Log,
}

/// What came of it.
struct Made {
    snapshot: SnapshotId,
    /// The root disk as the guest sees it.
    disk_bytes: u64,
    bytes: u64,
    config: TemplateConfig,
}

/// A folder for what is half made.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = durable::remove_dir(&self.0) {
            tracing::warn!(%error, "what a build left stays until the next start");
        }
    }
}

impl Run {
    /// Does the build, and records how it ended.
    pub(super) async fn run(mut self) {
        let stopping = self.templates.sandboxes.node.stopping();
        let turns = std::sync::Arc::clone(&self.templates.turns);
        let work = async {
            let _turn = turns.take(self.row.org).await;
            let begun = self.templates.sandboxes.store.template_build_begin(self.row.id).await;
            if let Err(error) = begun {
                return Err(Halt::Internal(crate::chain(&error)));
            }
            self.build().await
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = stopping.cancelled() => return,
        };
        self.conclude(outcome).await;
    }

    async fn build(&mut self) -> Result<Made, Halt> {
        let node = self.templates.sandboxes.node.clone();
        node.room_on_disk().await?;
        let staging = Staging(node.data().grave());
        let folder = staging.0.clone();
        node.on_disk(move || crate::image::make_dir(&folder)).await?;
        let disk = staging.0.join("rootfs.ext4");
        let (config, disk_bytes) = self.make_disk(&staging.0, &disk).await?;
        self.make_machine(&disk, disk_bytes, config).await
    }

    fn deadline(&self) -> Timestamp {
        self.templates.sandboxes.clock.now().plus(LIFE)
    }

    /// Makes the root disk in a machine for that; what runs in it, and its length.
    async fn make_disk(
        &mut self,
        staging: &Path,
        disk: &Path,
    ) -> Result<(TemplateConfig, u64), Halt> {
        let node = self.templates.sandboxes.node.clone();
        let layers = Layers::new(node.data().clone(), self.row.org, node.layers_version());
        let is_image = matches!(self.plan, Plan::Dockerfile { .. });
        let begins_with_base = match &self.plan {
            Plan::Dockerfile { text, .. } => dockerfile::may_be_of_base(text),
            Plan::Rootfs(_) => false,
        };
        let begun = staging.join("begun.raw");
        let kept = if is_image {
            let layers = layers.clone();
            node.on_disk(move || layers.find(begun)).await?
        } else {
            None
        };
        let spare = Spare::unmounted;
        let begun = |of| Disk::Begun { of, bytes: SPARE_DISK_BYTES };
        let first = kept.map_or(Disk::Blank, begun);
        let mut spares = vec![spare(first), spare(Disk::Blank)];
        let mut disk_bytes = u64::from(self.row.size_mib) << 20;
        if is_image {
            let (of, base_bytes) = node.base_disk().await?;
            if begins_with_base {
                // A file system is not made smaller than it is, and takes what is written.
                disk_bytes = disk_bytes.max(base_bytes);
                spares[OUTPUT] = spare(begun(of.clone()));
            }
            spares.push(spare(begun(of)));
        }
        self.log.say("Making the machine that builds.").await;
        let id = SandboxId::new();
        node.create_builder(id, self.row.org, self.deadline(), spares).await?;
        let built = async {
            let builder = Builder::reach(&node, id, self.row.org).await?;
            let config = if is_image {
                self.build_image(&builder, &layers, begins_with_base).await?
            } else {
                self.unpack(&builder).await?
            };
            node.copy_spare(id, OUTPUT, Some(disk_bytes), disk.to_owned()).await?;
            if is_image {
                layers.keep_of(&node, id, LAYERS).await?;
            }
            Ok::<_, Halt>(config)
        };
        let built = built.await;
        builder::remove(&node, id).await;
        Ok((built?, disk_bytes))
    }

    async fn build_image(
        &mut self,
        builder: &Builder,
        layers: &Layers,
        begins_with_base: bool,
    ) -> Result<TemplateConfig, Halt> {
        let Plan::Dockerfile { text, context } = &mut self.plan else {
            return Err(Halt::Internal("it has no Dockerfile".to_owned()));
        };
        let (text, context) = (text.clone(), context.take());
        let node = &self.templates.sandboxes.node;
        builder.prepare(&mut self.log, node, layers, LAYERS).await?;
        builder.write("/build/Dockerfile", &text).await?;
        if let Some(context) = context {
            let script = "tar -x -C /build/context --no-same-owner";
            builder.must(&mut self.log, fed(script, &[], context)).await?;
        }
        let image = Image {
            dockerfile: "/build/Dockerfile",
            text: &text,
            context: "/build/context",
            secrets: BTreeMap::new(),
        };
        let config = builder.build(&mut self.log, image).await?;
        self.log.say("Making the root disk.").await;
        let size = self.row.size_mib.to_string();
        let arguments = [size.as_str(), if begins_with_base { "base" } else { "none" }];
        let export = step(include_str!("scripts/export.sh"), &arguments);
        self.fill(builder, export).await?;
        self.finish(builder, &config).await?;
        Ok(config)
    }

    async fn unpack(&mut self, builder: &Builder) -> Result<TemplateConfig, Halt> {
        let size = self.row.size_mib.to_string();
        let plan = std::mem::replace(
            &mut self.plan,
            Plan::Dockerfile { text: String::new(), context: None },
        );
        let Plan::Rootfs(tar) = plan else {
            return Err(Halt::Internal("it has no tar".to_owned()));
        };
        self.log.say("Unpacking the root file system.").await;
        let arguments = [size.as_str()];
        let unpack = fed(include_str!("scripts/unpack.sh"), &arguments, tar);
        self.fill(builder, unpack).await?;
        let config = TemplateConfig::default();
        self.finish(builder, &config).await?;
        Ok(config)
    }

    /// Runs what fills the new disk.
    async fn fill(&mut self, builder: &Builder, script: Script<'_>) -> Result<(), Halt> {
        let (done, heard) = builder.run(&mut self.log, script).await?;
        match done.exit_code {
            0 => Ok(()),
            code => Err(Halt::Failed(failure::of_filling(
                code == FULL,
                self.row.size_mib,
                &done,
                heard,
            ))),
        }
    }

    async fn finish(&mut self, builder: &Builder, config: &TemplateConfig) -> Result<(), Halt> {
        let lines = config::environment_lines(config);
        let finish = step(include_str!("scripts/finish.sh"), &[]);
        let finish = Script { input: ExecInput::Bytes(lines.into()), ..finish };
        builder.must(&mut self.log, finish).await?;
        builder.close(&mut self.log).await
    }

    /// Boots the disk, starts what runs in it, and saves the machine.
    async fn make_machine(
        &mut self,
        disk: &Path,
        disk_bytes: u64,
        config: TemplateConfig,
    ) -> Result<Made, Halt> {
        let node = self.templates.sandboxes.node.clone();
        let (id, org, version) = (SandboxId::new(), self.row.org, self.row.id.to_string());
        self.log.say("Booting it once.").await;
        node.create_on_disk(id, org, self.deadline(), self.shape, disk, &version)
            .await
            .map_err(not_booted)?;
        let saved = async {
            let guest = node.access(id, Some(org)).await?;
            let ready = start::start(&guest, &config, &mut self.log);
            // The guest itself may be what hangs.
            let ready = tokio::time::timeout(2 * MAX_TEMPLATE_READY_TIME, ready).await;
            ready.map_err(|_| Halt::failed("the sandbox did not answer while it started"))??;
            drop(guest);
            Ok::<_, Halt>(node.snapshot(id, Epoch::first(), SnapshotId::new()).await?)
        };
        let saved = saved.await;
        builder::remove(&node, id).await;
        let saved = saved?;
        Ok(Made { snapshot: saved.id, disk_bytes, bytes: saved.held_bytes, config })
    }

    async fn conclude(mut self, outcome: Result<Made, Halt>) {
        let outcome = match outcome {
            Ok(made) => self.name(made).await,
            Err(halt) => Err(halt),
        };
        if let Err(halt) = outcome {
            let error = match halt {
                Halt::Failed(error) => error,
                Halt::Internal(cause) => {
                    tracing::error!(build = self.row.id.short(), cause, "a build failed");
                    "the server failed; its log holds the cause".to_owned()
                }
            };
            self.log.say(&format!("Failed: {error}")).await;
            self.templates.end_failed(&self.row, &error).await;
        }
        self.templates.prune(self.row.org).await;
    }

    /// Gives the template its name: from then on sandboxes are made of it.
    async fn name(&mut self, made: Made) -> Result<(), Halt> {
        let sandboxes = &self.templates.sandboxes;
        let row = TemplateRow {
            org: self.row.org,
            name: self.row.name.clone(),
            version: 0,
            cpu: self.shape.cpu,
            memory_mib: self.shape.memory_mib,
            size_bytes: made.disk_bytes,
            snapshot: made.snapshot,
            owner_node: sandboxes.node_id,
            config: serde_json::to_string(&made.config).unwrap_or_else(|_| "{}".to_owned()),
            created: sandboxes.clock.now(),
        };
        let named = async {
            let mut tx = sandboxes.store.begin().await?;
            let former = tx.template_replace(&row).await?;
            let _: pando_store::Swap =
                tx.template_build_end(self.row.id, Ok(made.bytes), row.created).await?;
            tx.commit().await?;
            Ok::<_, pando_store::StoreError>(former)
        };
        // The files that nobody names, whichever they are now.
        let (unused, outcome) = match named.await {
            Ok(former) => (former.map(|former| former.snapshot), Ok(())),
            Err(error) => (Some(made.snapshot), Err(Halt::Internal(crate::chain(&error)))),
        };
        if let Some(unused) = unused
            && let Err(error) = sandboxes.node.snapshot_delete(unused).await
        {
            tracing::warn!(error = crate::chain(&error), "an old template's files stay for now");
        }
        if outcome.is_ok() {
            self.log.say(&format!("Template {} is ready.", self.row.name)).await;
        }
        outcome
    }
}

fn fed<'a>(text: &'a str, arguments: &'a [&'a str], file: File) -> Script<'a> {
    const PIECE_BYTES: usize = 256 * 1024;
    let input = ExecInput::Stream(Box::pin(ReaderStream::with_capacity(file, PIECE_BYTES)));
    Script { input, ..step(text, arguments) }
}

/// A disk that does not boot is its maker's.
fn not_booted(error: NodeError) -> Halt {
    match &error {
        NodeError::Bake(BakeError::Machine(boot @ MachineError::Boot { .. })) => {
            Halt::Failed(format!("it does not boot: {}", crate::quote(&boot.to_string())))
        }
        _ => error.into(),
    }
}
