//! Forking: sandboxes that go on from the moment of another, which goes on itself.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pando_types::{Epoch, OrgId, SandboxId, Timestamp};
use pando_vm::network::Cidr;
use pando_vm::sys::fault::{self, Fault};

use super::create::Wanted;
use super::{Node, NodeError, Observation};
use crate::image::Passing;
use crate::sandbox::handle::Taken;
use crate::sandbox::restore::Model;

/// What a child of a fork is to be. All else it has from its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its id.
    pub id: SandboxId,
    /// Under which ownership it is made.
    pub epoch: Epoch,
    /// Who it is for: orgs take turns.
    pub org: OrgId,
    /// When it is to be gone.
    pub deadline: Option<Timestamp>,
    /// Whether its files are kept when its machine is lost.
    pub persistent: bool,
    /// It is put to sleep when nobody used it for as long; never, without.
    pub idle_timeout: Option<Duration>,
    /// What it may not reach, beside what its parent may not.
    pub egress_deny: Vec<Cidr>,
}

/// What became of a fork.
#[derive(Debug)]
pub struct Forked {
    /// How long the parent stood still.
    pub pause: Duration,
    /// Each child, in the order that they were asked for.
    pub children: Vec<Result<Observation, NodeError>>,
}

impl Node {
    /// Makes sandboxes of this moment of another, and returns when each answers or could
    /// not be made; of one that could not be made nothing is left. They are made of one
    /// image, whose memory they share until they write to it.
    ///
    /// # Errors
    /// Any [`NodeError`] of taking the image: there is then no child.
    pub async fn fork(
        &self,
        parent: SandboxId,
        epoch: Epoch,
        children: Vec<Child>,
    ) -> Result<Forked, NodeError> {
        // Before the parent stands still for nothing.
        self.admit().await?;
        let Taken { image, pause } = self.take_image(parent, epoch).await?;
        fault::point(Fault::ForkTaken);
        let image = Arc::new(image);
        let made = join_all(children.into_iter().map(|child| {
            let wanted = Wanted {
                org: child.org,
                deadline: child.deadline,
                persistent: child.persistent,
                idle_timeout: child.idle_timeout,
                egress_deny: child.egress_deny,
                spares: Vec::new(),
            };
            self.create_of(child.id, child.epoch, wanted, Model::Image(Arc::clone(&image)))
        }));
        let children = made.await;
        fault::point(Fault::ForkMade);
        self.write_back(image);
        Ok(Forked { pause, children })
    }

    /// Puts the memory of an image on the disk, after those who waited for its machines
    /// have gone: else the first of these that is saved would wait for it.
    fn write_back(&self, image: Arc<Passing>) {
        self.shared.tasks.spawn_blocking(move || {
            if let Err(error) = image.0.parts().memory.sync() {
                tracing::warn!(%error, "the memory of a fork is not on the disk yet");
            }
        });
    }
}
