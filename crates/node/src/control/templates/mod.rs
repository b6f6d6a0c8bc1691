//! Templates of an org: building, naming and removing them.
//!
//! A template is a snapshot of this node under a name, whose machine runs what its image
//! says. `build` is what may be asked for, `run` one build from its turn to its row.
//! `builder` is the machine that it is made in, `image` what both it and `app` (the images of
//! apps) do there, `scripts/` what runs there, `layers` what
//! the next build finds of it, `start` the machine that is saved. Pure: `dockerfile` and
//! `failure` (which line failed, and why), `config` (what an image says), `steps`
//! (`template.toml`), `names`.

mod app;
mod build;
mod builder;
mod config;
mod dockerfile;
mod failure;
mod find;
mod halt;
mod image;
mod layers;
mod log;
mod names;
mod run;
mod start;
mod steps;
mod turns;
mod upload;

use std::sync::Arc;

use futures_util::stream::BoxStream;
use pando_store::{TemplateBuildRow, TemplateRow};
use pando_types::page::{Cursor, List, PageRequest};
use pando_types::sandbox::Template;
use pando_types::template::TemplateBuild;
use pando_types::{Code, OrgId, PublicError, TemplateBuildId, Timestamp};
use tokio::sync::Semaphore;

use self::log::LogBook;
use self::turns::Turns;
use super::sandboxes::{Sandboxes, failed};

pub use self::app::{AppImage, AppImageError, AppImageLog};
pub(super) use self::find::AskedSize;
pub use self::upload::{Contents, Upload};

/// Uploads that come in at once.
const MAX_UPLOADS: usize = 8;

/// The templates of all orgs. Clones share them.
#[derive(Clone)]
pub struct Templates {
    sandboxes: Sandboxes,
    logs: LogBook,
    turns: Arc<Turns>,
    uploads: Arc<Semaphore>,
}

impl Templates {
    /// Starts from the rows: builds that an earlier server did not end have failed.
    ///
    /// # Errors
    /// When the rows or the logs cannot be used.
    pub async fn start(sandboxes: Sandboxes) -> Result<Self, PublicError> {
        let logs = LogBook::open(sandboxes.node.data().builds()).map_err(|error| {
            tracing::error!(%error, "the logs of builds");
            PublicError::internal()
        })?;
        let why = "the server stopped before the build ended; build it again";
        let store = &sandboxes.store;
        let open = store.template_build_fail_open(sandboxes.node_id, why).await;
        let open = open.map_err(|error| failed(&error))?;
        if open > 0 {
            tracing::info!(open, "builds that an earlier server did not end have failed");
        }
        Ok(Self {
            sandboxes,
            logs,
            turns: Arc::new(Turns::new()),
            uploads: Arc::new(Semaphore::new(MAX_UPLOADS)),
        })
    }

    /// The templates that an org can make sandboxes of: those for all, then its own.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn list(&self, org: OrgId) -> Result<Vec<Template>, PublicError> {
        let own = self.sandboxes.store.template_list(org).await.map_err(|error| failed(&error))?;
        let mut all = self.sandboxes.node.templates();
        all.extend(own.iter().map(shown));
        Ok(all)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn get(&self, org: OrgId, name: &str) -> Result<Template, PublicError> {
        let global = self.sandboxes.node.templates();
        if let Some(found) = global.into_iter().find(|template| template.name == name) {
            return Ok(found);
        }
        Ok(shown(&self.row(org, name).await?))
    }

    async fn row(&self, org: OrgId, name: &str) -> Result<TemplateRow, PublicError> {
        let row = self.sandboxes.store.template_get(org, name).await;
        let row = row.map_err(|error| failed(&error))?;
        let name: String = name.chars().take(64).collect();
        row.ok_or_else(|| PublicError::not_found("template", name))
    }

    /// Deletes a template of an org; sandboxes that were made of it go on.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] for one that is for all.
    pub async fn delete(&self, org: OrgId, name: &str) -> Result<(), PublicError> {
        if self.sandboxes.node.templates().iter().any(|template| template.name == name) {
            let message = format!("template `{name}` is for all: it cannot be deleted");
            return Err(PublicError::new(Code::Conflict, message));
        }
        let row = self.row(org, name).await?;
        let forgotten = self.sandboxes.store.template_forget(org, name, row.snapshot).await;
        // Of two who delete it, the other one was faster; what replaced it stays.
        if !forgotten.map_err(|error| failed(&error))? {
            return Err(PublicError::not_found("template", name));
        }
        // A server that ends here leaves files that no row names: the next removes them.
        let deleted = self.sandboxes.node.snapshot_delete(row.snapshot).await;
        deleted.map_err(|error| PublicError::from(&error))
    }

    /// An org's builds, oldest first.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn builds(
        &self,
        org: OrgId,
        page: PageRequest<TemplateBuildId>,
    ) -> Result<List<TemplateBuild>, PublicError> {
        let rows = self.sandboxes.store.template_build_list(org, page.after, page.rows()).await;
        let rows = rows.map_err(|error| failed(&error))?;
        let place = |row: &TemplateBuildRow| Cursor { created: row.created, id: row.id };
        Ok(List::of(rows, &page, place, build_shown))
    }

    /// One build.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn build_get(
        &self,
        org: OrgId,
        id: TemplateBuildId,
    ) -> Result<TemplateBuild, PublicError> {
        let row = self.sandboxes.store.template_build_get(id).await;
        let row = row.map_err(|error| failed(&error))?.filter(|row| row.org == org);
        row.map(|row| build_shown(&row)).ok_or_else(|| PublicError::not_found("template build", id))
    }

    /// What a build said, and where it is followed what it goes on to say.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn build_log(
        &self,
        org: OrgId,
        id: TemplateBuildId,
        follow: bool,
    ) -> Result<BoxStream<'static, String>, PublicError> {
        self.build_get(org, id).await?;
        self.logs.read(id, follow).await.map_err(|error| {
            tracing::error!(%error, "a build's log");
            PublicError::internal()
        })
    }
}

fn shown(row: &TemplateRow) -> Template {
    let config = serde_json::from_str(&row.config).ok();
    Template {
        name: row.name.clone(),
        version: row.version.to_string(),
        size_bytes: row.size_bytes,
        cpu: row.cpu,
        memory_mb: row.memory_mib,
        is_global: false,
        workspace: Some(row.org.to_string()),
        description: String::new(),
        config,
    }
}

fn build_shown(row: &TemplateBuildRow) -> TemplateBuild {
    TemplateBuild {
        id: row.id,
        name: row.name.clone(),
        status: row.status,
        error: row.error.clone(),
        created_at: row.created.to_rfc3339(),
        started_at: row.started.map(Timestamp::to_rfc3339),
        ended_at: row.ended.map(Timestamp::to_rfc3339),
        size_mb: row.size_mib,
        bytes: row.bytes,
        image_ref: row.image_ref.clone(),
    }
}
