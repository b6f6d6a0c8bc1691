//! `package.json`, as far as it matters.

use serde_json::Value;

use super::super::DetectError;
use super::super::files::PACKAGE_JSON;
use super::super::sources::Dir;

/// The longest text that is taken from one.
const MAX_TEXT_BYTES: usize = 4096;

/// A `package.json`: an object, whatever is in it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::detect) struct Package(Value);

impl Package {
    /// That of a folder, where there is one.
    pub(in crate::detect) fn of(dir: &Dir) -> Result<Option<Self>, DetectError> {
        let failed = |why: String| DetectError::PackageJson(dir.path_of(PACKAGE_JSON), why);
        if dir.too_large.contains(PACKAGE_JSON) {
            return Err(failed("it is larger than 1 MiB".into()));
        }
        let Some(text) = dir.text(PACKAGE_JSON) else { return Ok(None) };
        Self::parse(text).map(Some).map_err(failed)
    }

    /// That of a text, or why it is none.
    pub(in crate::detect) fn parse(text: &str) -> Result<Self, String> {
        match serde_json::from_str(text) {
            Ok(package @ Value::Object(_)) => Ok(Self(package)),
            Ok(_) => Err("it is something else".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What a key has, whatever it is.
    pub(in crate::detect) fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The text at a path of keys; none where it is empty.
    pub(super) fn text(&self, keys: &[&str]) -> Option<&str> {
        let found = keys.iter().try_fold(&self.0, |value, key| value.get(key))?;
        let good = |text: &&str| (1..=MAX_TEXT_BYTES).contains(&text.len()) && !text.contains('\0');
        found.as_str().map(str::trim).filter(good)
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.text(&["name"])
    }

    pub(in crate::detect) fn script(&self, name: &str) -> Option<&str> {
        self.text(&["scripts", name])
    }

    /// The name of the first script with this beginning.
    pub(super) fn script_with(&self, prefix: &str) -> Option<&str> {
        let scripts = self.0.get("scripts")?.as_object()?;
        scripts.keys().map(String::as_str).find(|name| name.starts_with(prefix))
    }

    /// Whether it needs a package, to run or to build.
    pub(in crate::detect) fn depends_on(&self, name: &str) -> bool {
        self.dependency(name).is_some()
    }

    /// The range in which it needs a package; empty where that is no text.
    pub(super) fn dependency(&self, name: &str) -> Option<&str> {
        ["dependencies", "devDependencies", "optionalDependencies"]
            .iter()
            .find_map(|kind| self.0.get(kind)?.get(name))
            .map(|range| range.as_str().unwrap_or_default())
    }

    /// The patterns of a workspace: a list, or a list under `packages`.
    pub(in crate::detect) fn workspaces(&self) -> Vec<&str> {
        let workspaces = self.0.get("workspaces");
        let list =
            workspaces.and_then(|it| it.as_array().or_else(|| it.get("packages")?.as_array()));
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// `packageManager`: a name and a version, without the hash that may follow; empty where only a
    /// name is there.
    pub(super) fn package_manager(&self) -> Option<(&str, &str)> {
        let text = self.text(&["packageManager"])?;
        let (name, version) = text.split_once('@').unwrap_or((text, ""));
        Some((name, version.split('+').next().unwrap_or_default()))
    }

    /// `devEngines.packageManager`: the name and the range of the first.
    pub(super) fn dev_manager(&self) -> Option<(&str, Option<&str>)> {
        let engines = self.0.get("devEngines")?.get("packageManager")?;
        let one = engines.as_array().map_or(Some(engines), |all| all.first())?;
        Some((one.get("name")?.as_str()?, one.get("version").and_then(Value::as_str)))
    }
}
