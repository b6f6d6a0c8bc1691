//! What an app's kept disks are called, and who may begin with which: pure.
//!
//! ```text
//! layer-<app>-<hash of what install depends on>-<fingerprint of the environment it had>
//! built-<app>-<deployment>
//! ```
//!
//! A layer is its app's. Code of a pull request ran in the install of a preview's, so no app
//! and no other preview begins with that. A preview may begin with a layer of the app that it
//! belongs to, if that was installed with just the environment that the preview's own install
//! would have: then it holds nothing that the pull request may not see.

use pando_node::{BadDiskName, DiskName};
use pando_store::{AppKind, AppRow};
use pando_types::{AppId, DeploymentId};

/// What a layer is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Whose it is.
    pub app: AppId,
    /// The app whose layers it may begin with, too.
    pub parent: Option<AppId>,
    /// Of what install depends on.
    pub hash: String,
    /// Of the environment.
    pub fingerprint: String,
}

impl Layer {
    pub(crate) fn of(app: &AppRow, hash: String, fingerprint: &str) -> Self {
        let parent = match &app.kind {
            AppKind::App => None,
            AppKind::Preview(preview) => Some(preview.parent),
        };
        let fingerprint = fingerprint.chars().take(16).collect();
        Self { app: app.id, parent, hash, fingerprint }
    }

    /// What it is kept as.
    pub(crate) fn name(&self) -> Result<DiskName, BadDiskName> {
        format!("{}{}", own(self.app, &self.hash), self.fingerprint).parse()
    }

    /// The app's own layers that will do begin so, whatever environment they had.
    pub(crate) fn own_prefix(&self) -> String {
        own(self.app, &self.hash)
    }

    /// The layer of the app that a preview belongs to.
    pub(crate) fn parents_name(&self) -> Option<Result<DiskName, BadDiskName>> {
        let parent = self.parent?;
        Some(format!("{}{}", own(parent, &self.hash), self.fingerprint).parse())
    }
}

fn own(app: AppId, hash: &str) -> String {
    format!("layer-{app}-{hash}-")
}

/// The disk that a deployment was built on.
pub(crate) fn built(app: AppId, deployment: DeploymentId) -> Result<DiskName, BadDiskName> {
    format!("built-{app}-{deployment}").parse()
}

/// How the names of all that is kept of an app begin: its layers, then what was built.
pub(crate) fn prefixes(app: AppId) -> [String; 2] {
    [format!("layer-{app}-"), format!("built-{app}-")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_of_the_parents_is_found_by_its_environment_alone() {
        let parent = AppId::new();
        let layer = |app, parent, fingerprint: &str| Layer {
            app,
            parent,
            hash: "0".repeat(32),
            fingerprint: fingerprint.into(),
        };
        let theirs = layer(parent, None, "a").name().unwrap();
        let preview = AppId::new();
        let same = layer(preview, Some(parent), "a").parents_name().unwrap().unwrap();
        let other = layer(preview, Some(parent), "b").parents_name().unwrap().unwrap();
        assert_eq!(same, theirs);
        assert_ne!(other, theirs);
        assert!(layer(parent, None, "a").parents_name().is_none());
    }

    #[test]
    fn what_is_an_apps_begins_with_its_id() {
        let app = AppId::new();
        let layer = Layer { app, parent: None, hash: "a".into(), fingerprint: "b".into() };
        let [layers, builts] = prefixes(app);
        assert!(layer.name().unwrap().as_ref().starts_with(&layers));
        assert!(layer.name().unwrap().as_ref().starts_with(&layer.own_prefix()));
        assert!(built(app, DeploymentId::new()).unwrap().as_ref().starts_with(&builts));
    }
}
