//! A template's recipe: what goes into its root disk. Part of this program, so
//! an installed `pando` needs no folder of recipes.

use std::time::Duration;

use serde::Deserialize;

/// What a recipe's file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    description: String,
    suite: String,
    disk_mib: u64,
    packages: Vec<String>,
}

/// A template's recipe.
#[derive(Debug, Clone)]
pub struct Recipe {
    file: File,
    customize: &'static str,
    version: String,
}

/// Why a recipe makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("a recipe is not what it should be")]
pub struct RecipeError(#[from] toml::de::Error);

/// Raised when the way a root disk is built changes, so that older ones are not taken.
const ROOTFS_FORMAT: u32 = 1;

impl Recipe {
    /// The template `base`.
    ///
    /// # Errors
    /// [`RecipeError`] when its file does not parse.
    pub fn base() -> Result<Self, RecipeError> {
        Self::new(
            include_str!("../../../../templates/base/template.toml"),
            include_str!("../../../../templates/base/customize.sh"),
        )
    }

    /// What builds the templates of orgs. No sandbox of theirs is made of it.
    ///
    /// # Errors
    /// [`RecipeError`] when its file does not parse.
    pub fn builder() -> Result<Self, RecipeError> {
        Self::new(
            include_str!("../../../../templates/builder/template.toml"),
            include_str!("../../../../templates/builder/customize.sh"),
        )
    }

    fn new(text: &str, customize: &'static str) -> Result<Self, RecipeError> {
        let mut hash = blake3::Hasher::new();
        for part in [ROOTFS_FORMAT.to_string().as_str(), text, customize] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let version = hash.finalize().to_hex()[..32].to_owned();
        Ok(Self { file: toml::from_str(text)?, customize, version })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// What it is for.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.file.description
    }

    /// The hash of all of it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The size of its root disk as the guest sees it.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.file.disk_mib << 20
    }

    pub(super) fn suite(&self) -> &str {
        &self.file.suite
    }

    pub(super) fn packages(&self) -> &[String] {
        &self.file.packages
    }

    /// The script that finishes the root file system; its one argument is the root.
    pub(super) fn customize(&self) -> &str {
        self.customize
    }

    /// How long building it may take: downloads on a slow line among it.
    pub(super) const BUILD_LIMIT: Duration = Duration::from_secs(1800);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_follows_every_part() {
        let text = "name='t'\ndescription='d'\nsuite='s'\ndisk_mib=1\npackages=[]\n";
        let version = |text: &str, customize| Recipe::new(text, customize).unwrap().version;
        assert_eq!(version(text, "a"), version(text, "a"));
        assert_ne!(version(text, "a"), version(text, "b"));
        assert_ne!(version(text, "a"), version(&text.replace("='d'", "='e'"), "a"));
    }

    #[test]
    fn recipes_parse() {
        assert_eq!(Recipe::base().unwrap().name(), "base");
        assert_eq!(Recipe::builder().unwrap().name(), "builder");
    }
}
