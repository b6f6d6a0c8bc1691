//! Asking for a build: what may be built, and its row.

use std::sync::Arc;

use pando_store::TemplateBuildRow;
use pando_types::limits::{
    DEFAULT_TEMPLATE_MIB, KEEP_TEMPLATE_BUILDS, MAX_DOCKERFILE_BYTES, MAX_TEMPLATE_BUILDS,
    MAX_TEMPLATE_MIB, MAX_TEMPLATES, MIN_TEMPLATE_MIB,
};
use pando_types::template::{BuildTemplate, TemplateBuild, TemplateBuildStatus};
use pando_types::{Code, OrgId, PublicError, TemplateBuildId};

use super::super::sandboxes::failed;
use super::super::spec;
use super::run::{Plan, Run};
use super::{Contents, Templates, Upload, build_shown, names, steps};

/// When a refused build is worth another try.
const RETRY_AFTER_SECS: u32 = 30;

impl Templates {
    /// Room for what comes with the request of a build.
    ///
    /// # Errors
    /// [`Code::Unavailable`] while many others upload, [`Code::InsufficientStorage`].
    pub async fn upload(&self, contents: Contents) -> Result<Upload, PublicError> {
        let node = &self.sandboxes.node;
        node.room_on_disk().await.map_err(|error| PublicError::from(&error))?;
        let turn = Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| {
            PublicError::new(Code::Unavailable, "too many uploads of builds at once")
                .retry_after(RETRY_AFTER_SECS)
        })?;
        Upload::new(&node.data().staging(), contents, turn).map_err(|error| {
            tracing::error!(%error, "no file for an upload");
            PublicError::internal()
        })
    }

    /// Queues a build of what is asked for and came with it.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`], [`Code::Conflict`], [`Code::OverQuota`].
    pub async fn build(
        &self,
        org: OrgId,
        request: BuildTemplate,
        upload: Option<Upload>,
    ) -> Result<TemplateBuild, PublicError> {
        names::check(&request.name)?;
        let shape = spec::shape(request.cpu, request.memory_mb)?;
        let size_mib = size(request.size_mb)?;
        self.sandboxes.node.room_on_disk().await.map_err(|error| PublicError::from(&error))?;
        let plan = plan(&request, upload).await?;
        let row = TemplateBuildRow {
            id: TemplateBuildId::new(),
            org,
            owner_node: self.sandboxes.node_id,
            name: request.name.clone(),
            status: TemplateBuildStatus::Queued,
            error: None,
            size_mib,
            bytes: None,
            image_ref: request.image_ref.clone(),
            created: self.sandboxes.clock.now(),
            started: None,
            ended: None,
        };
        // Before the row: whoever knows of a build can read what it says.
        let log = self.logs.write(row.id).await.map_err(|error| {
            tracing::error!(%error, "a build's log");
            PublicError::internal()
        })?;
        if let Err(refusal) = self.admit(&row, request.replace != Some(false)).await {
            drop(log);
            self.remove_log(row.id).await;
            return Err(refusal);
        }
        let shown = build_shown(&row);
        let run = Run { templates: self.clone(), row, shape, plan, log };
        self.sandboxes.node.spawn(run.run());
        Ok(shown)
    }

    async fn admit(&self, row: &TemplateBuildRow, replace: bool) -> Result<(), PublicError> {
        let failed = |error| failed(&error);
        if !replace {
            let there = self.sandboxes.store.template_get(row.org, &row.name).await;
            if there.map_err(failed)?.is_some() {
                let message = format!("there is a template `{}`", row.name);
                let refusal = PublicError::new(Code::Conflict, message);
                return Err(refusal.hint("delete it, take another name, or allow `replace`"));
            }
        }
        let mut tx = self.sandboxes.store.begin().await.map_err(failed)?;
        let open = tx.template_build_open(row.org).await.map_err(failed)?;
        if open >= MAX_TEMPLATE_BUILDS {
            let message = format!("the org has {open} builds that wait or run, which is the most");
            let refusal = PublicError::new(Code::OverQuota, message);
            return Err(refusal.retry_after(RETRY_AFTER_SECS));
        }
        let others = tx.template_count_others(row.org, &row.name).await.map_err(failed)?;
        if others >= MAX_TEMPLATES {
            let message = format!("the org has {others} templates, which is the most");
            return Err(PublicError::new(Code::OverQuota, message)
                .hint("delete those that are not needed")
                .retry_after(RETRY_AFTER_SECS));
        }
        tx.template_build_insert(row).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Records that a build failed.
    pub(super) async fn end_failed(&self, row: &TemplateBuildRow, error: &str) {
        let ended = async {
            let mut tx = self.sandboxes.store.begin().await?;
            let now = self.sandboxes.clock.now();
            let _: pando_store::Swap = tx.template_build_end(row.id, Err(error), now).await?;
            tx.commit().await
        };
        if let Err(error) = ended.await {
            let error = crate::chain(&error);
            tracing::error!(build = row.id.short(), error, "its failure is not recorded");
        }
    }

    /// Forgets an org's oldest builds.
    pub(super) async fn prune(&self, org: OrgId) {
        match self.sandboxes.store.template_build_prune(org, KEEP_TEMPLATE_BUILDS).await {
            Ok(gone) => {
                for id in gone {
                    self.remove_log(id).await;
                }
            }
            Err(error) => {
                tracing::warn!(error = crate::chain(&error), "old builds are not forgotten");
            }
        }
    }

    async fn remove_log(&self, id: TemplateBuildId) {
        if let Err(error) = self.logs.remove(id).await {
            tracing::warn!(%error, "a build's log stays");
        }
    }
}

/// What is to be built: one thing, of one source.
async fn plan(request: &BuildTemplate, upload: Option<Upload>) -> Result<Plan, PublicError> {
    let texts = [&request.dockerfile, &request.template_toml, &request.image_ref];
    let is_rootfs = upload.as_ref().is_some_and(|upload| upload.contents() == Contents::Rootfs);
    if texts.iter().filter(|text| text.is_some()).count() + usize::from(is_rootfs) != 1 {
        let message = "a template is made of one of `dockerfile`, `template_toml`, `image_ref` \
                       and the file `rootfs`";
        return Err(PublicError::invalid("dockerfile", message));
    }
    for (field, text) in
        [("dockerfile", &request.dockerfile), ("template_toml", &request.template_toml)]
    {
        if text.as_ref().is_some_and(|text| text.len() > MAX_DOCKERFILE_BYTES) {
            let message = format!("`{field}` has {MAX_DOCKERFILE_BYTES} bytes at most");
            return Err(PublicError::invalid(field, message));
        }
    }
    let text = match (&request.dockerfile, &request.template_toml, &request.image_ref) {
        (Some(text), ..) if text.trim().is_empty() => {
            return Err(PublicError::invalid("dockerfile", "`dockerfile` is empty"));
        }
        (Some(text), ..) => text.clone(),
        (_, Some(text), _) => steps::dockerfile(text)?,
        (.., Some(image)) => {
            names::check_image(image)?;
            format!("FROM {image}\n")
        }
        _ => String::new(),
    };
    let file = match upload {
        Some(upload) => Some(upload.finish().await?),
        None => None,
    };
    Ok(match file {
        Some(tar) if is_rootfs => Plan::Rootfs(tar),
        context => Plan::Dockerfile { text, context },
    })
}

fn size(size_mb: Option<i64>) -> Result<u32, PublicError> {
    let Some(size_mb) = size_mb else { return Ok(DEFAULT_TEMPLATE_MIB) };
    let size = u32::try_from(size_mb).ok();
    size.filter(|size| (MIN_TEMPLATE_MIB..=MAX_TEMPLATE_MIB).contains(size)).ok_or_else(|| {
        PublicError::invalid(
            "size_mb",
            format!(
                "`size_mb` is {size_mb}; it must be from {MIN_TEMPLATE_MIB} to {MAX_TEMPLATE_MIB}"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(request: BuildTemplate) -> PublicError {
        plan(&request, None).await.err().unwrap()
    }

    #[tokio::test]
    async fn one_source_it_is() {
        let text = |text: &str| Some(text.to_owned());
        let none = BuildTemplate::default();
        assert_eq!(refused(none.clone()).await.field.as_deref(), Some("dockerfile"));
        let two = BuildTemplate { dockerfile: text("x"), image_ref: text("x"), ..none.clone() };
        assert_eq!(refused(two).await.field.as_deref(), Some("dockerfile"));
        let empty = BuildTemplate { dockerfile: text(" \n"), ..none.clone() };
        assert_eq!(refused(empty).await.field.as_deref(), Some("dockerfile"));
        let long = "x".repeat(MAX_DOCKERFILE_BYTES + 1);
        let long = BuildTemplate { template_toml: Some(long), ..none.clone() };
        assert_eq!(refused(long).await.field.as_deref(), Some("template_toml"));
        let image = BuildTemplate { image_ref: text("debian:12"), ..none };
        match plan(&image, None).await {
            Ok(Plan::Dockerfile { text, context: None }) => assert_eq!(text, "FROM debian:12\n"),
            _ => panic!("another plan"),
        }
    }

    #[test]
    fn a_size_is_in_its_range() {
        assert_eq!(size(None), Ok(DEFAULT_TEMPLATE_MIB));
        assert_eq!(size(Some(16)), Ok(16));
        for bad in [0, 15, -1, 32 * 1024 + 1, i64::MAX] {
            assert_eq!(size(Some(bad)).unwrap_err().field.as_deref(), Some("size_mb"));
        }
    }
}
