//! Who is given which variables: an app's own deployments, its previews', or both.
//!
//! ```text
//! own only          -> production
//! previews only     -> preview
//! both, and equal   -> all
//! both, and not     -> one entry each: production, preview
//! ```

use std::collections::BTreeSet;

use pando_store::{AppRow, Env, EnvValue, SealError, Sealer};
use pando_types::env::{EnvEntry, EnvScope, MASK};

/// Both environments that an app's row holds.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Environments {
    /// Of its own deployments; of a preview, what it has of its app.
    pub own: Env,
    /// Of its previews' deployments.
    pub previews: Env,
}

impl Environments {
    /// What a row holds.
    pub(crate) fn open(sealer: &Sealer, app: &AppRow) -> Result<Self, SealError> {
        let id = app.id.to_string();
        Ok(Self {
            own: sealer.unseal_env(&id, "env", &app.env_sealed)?,
            previews: sealer.unseal_env(&id, "preview_env", &app.preview_env_sealed)?,
        })
    }

    /// The row with these in it.
    pub(crate) fn seal(&self, sealer: &Sealer, app: AppRow) -> Result<AppRow, SealError> {
        let id = app.id.to_string();
        Ok(AppRow {
            env_sealed: sealer.seal_env(&id, "env", &self.own)?,
            preview_env_sealed: sealer.seal_env(&id, "preview_env", &self.previews)?,
            ..app
        })
    }

    /// Sets a variable. One that both were given is from now on where `scope` says and nowhere
    /// else: narrowed to production, previews lose it. Of two entries, the other one stays.
    pub(super) fn set(&mut self, key: &str, value: &EnvValue, scope: EnvScope) {
        let shared =
            self.own.0.contains_key(key) && self.own.0.get(key) == self.previews.0.get(key);
        for (env, reached) in [
            (&mut self.own, scope.reaches_production()),
            (&mut self.previews, scope.reaches_previews()),
        ] {
            if reached {
                env.0.insert(key.to_owned(), value.clone());
            } else if shared {
                env.0.remove(key);
            }
        }
    }

    /// Gives previews a variable, and leaves what the app's own deployments have.
    pub(crate) fn set_for_previews(&mut self, key: &str, value: &EnvValue) {
        self.previews.0.insert(key.to_owned(), value.clone());
    }

    /// What a list of previews' variables shows, by name.
    pub(crate) fn of_previews(&self) -> Vec<EnvEntry> {
        let shown = self.previews.0.iter();
        shown.map(|(name, value)| entry(name, value, EnvScope::Preview)).collect()
    }

    /// Takes a variable from where `scope` reaches; whether it was there.
    pub(crate) fn unset(&mut self, key: &str, scope: EnvScope) -> bool {
        let own = scope.reaches_production().then(|| self.own.0.remove(key)).flatten();
        let previews = scope.reaches_previews().then(|| self.previews.0.remove(key)).flatten();
        own.is_some() || previews.is_some()
    }

    /// What a list shows, by name.
    pub(super) fn entries(&self) -> Vec<EnvEntry> {
        let names: BTreeSet<&String> = self.own.0.keys().chain(self.previews.0.keys()).collect();
        let mut entries = Vec::new();
        for name in names {
            let (own, previews) = (self.own.0.get(name), self.previews.0.get(name));
            let scopes = if own == previews {
                [(own, EnvScope::All), (None, EnvScope::Preview)]
            } else {
                [(own, EnvScope::Production), (previews, EnvScope::Preview)]
            };
            let there = scopes.into_iter().filter_map(|(value, scope)| Some((value?, scope)));
            entries.extend(there.map(|(value, scope)| entry(name, value, scope)));
        }
        entries
    }
}

fn entry(name: &str, value: &EnvValue, scope: EnvScope) -> EnvEntry {
    let shown = if value.secret { MASK } else { value.value.as_str() };
    EnvEntry { key: name.to_owned(), value: shown.to_owned(), secret: value.secret, scope }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EnvScope::{All, Preview, Production};

    fn plain(value: &str) -> EnvValue {
        EnvValue { value: value.into(), secret: false }
    }

    fn shown(env: &Environments) -> Vec<(String, EnvScope)> {
        env.entries().into_iter().map(|entry| (entry.value, entry.scope)).collect()
    }

    fn after(sets: &[(&str, EnvScope)]) -> Vec<(String, EnvScope)> {
        let mut env = Environments::default();
        for (value, scope) in sets {
            env.set("A", &plain(value), *scope);
        }
        shown(&env)
    }

    fn all(entries: &[(&str, EnvScope)]) -> Vec<(String, EnvScope)> {
        entries.iter().map(|(value, scope)| ((*value).to_owned(), *scope)).collect()
    }

    #[test]
    fn a_variable_is_where_it_was_set_last() {
        for scope in [All, Production, Preview] {
            assert_eq!(after(&[("1", scope)]), all(&[("1", scope)]));
            // From everywhere it is narrowed, and nothing stays behind.
            assert_eq!(after(&[("1", All), ("2", scope)]), all(&[("2", scope)]));
            assert_eq!(after(&[("1", scope), ("2", All)]), all(&[("2", All)]));
        }
        let both = all(&[("1", Production), ("2", Preview)]);
        assert_eq!(after(&[("1", Production), ("2", Preview)]), both);
        assert_eq!(after(&[("2", Preview), ("1", Production)]), both);
        assert_eq!(after(&[("1", Production), ("1", Preview)]), all(&[("1", All)]));
        let third = [("0", Production), ("2", Preview), ("1", Production)];
        assert_eq!(after(&third), both);
    }

    #[test]
    fn a_variable_goes_from_where_the_scope_reaches() {
        let mut env = Environments::default();
        env.set("A", &plain("1"), All);
        assert!(env.unset("A", Production));
        assert_eq!(shown(&env), all(&[("1", Preview)]));
        assert!(!env.unset("A", Production));
        assert!(env.unset("A", All) && !env.unset("A", All));
        assert!(env == Environments::default());
    }

    #[test]
    fn a_secret_is_masked_and_not_the_same_as_a_plain_value() {
        let mut env = Environments::default();
        env.set("A", &plain("1"), Production);
        env.set("A", &EnvValue { value: "1".into(), secret: true }, Preview);
        assert_eq!(shown(&env), all(&[("1", Production), (MASK, Preview)]));
    }
}
