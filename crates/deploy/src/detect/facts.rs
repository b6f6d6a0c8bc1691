//! What the sources say, read once: the rules and the planners ask this.

use std::collections::BTreeSet;

use super::node::Package;
use super::procfile::Procfile;
use super::python::Needs;
use super::workspace::{self, Workspace};
use super::{DetectError, Settings, Sources};

pub(super) struct Facts<'a> {
    pub settings: &'a Settings,
    pub sources: &'a Sources,
    /// The app's own `package.json`.
    pub package: Option<Package>,
    pub workspace: Option<Workspace<'a>>,
    pub needs: Needs,
    pub procfile: Procfile,
    gems: BTreeSet<String>,
}

impl<'a> Facts<'a> {
    /// `reads_package` is whether a `package.json` that is none matters.
    pub(super) fn gather(
        settings: &'a Settings,
        sources: &'a Sources,
        reads_package: bool,
    ) -> Result<Self, DetectError> {
        let package = match Package::of(&sources.app) {
            Err(_) if !reads_package => None,
            package => package?,
        };
        Ok(Self {
            settings,
            sources,
            package,
            workspace: workspace::find(sources)?,
            needs: Needs::of(sources),
            procfile: sources.text("Procfile").map(Procfile::parse).unwrap_or_default(),
            gems: sources.text("Gemfile").map(gems).unwrap_or_default(),
        })
    }

    pub(super) fn has_gem(&self, name: &str) -> bool {
        self.gems.contains(name)
    }

    pub(super) fn depends_on(&self, name: &str) -> bool {
        self.package.as_ref().is_some_and(|package| package.depends_on(name))
    }

    /// Whether what serves is said already: by the settings, `pando.toml` or a Procfile.
    pub(super) fn starts_itself(&self) -> bool {
        self.settings.starts() || self.procfile.web.is_some()
    }

    /// The workspace's root, where the app is in one.
    pub(super) fn root(&self) -> Option<&'a super::sources::Dir> {
        self.workspace.as_ref().map(|workspace| workspace.root)
    }

    /// The way from the app's folder up to the workspace's root, with a `/` at its end.
    pub(super) fn way_up(&self) -> String {
        self.workspace
            .as_ref()
            .map_or_else(String::new, |workspace| "../".repeat(workspace.member.split('/').count()))
    }
}

/// The names in `gem "name", …` lines.
fn gems(gemfile: &str) -> BTreeSet<String> {
    let names = gemfile.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix("gem")?;
        super::text::literal(rest.trim_start_matches([' ', '('])).map(str::to_owned)
    });
    names.collect()
}
