//! Environments: sealed columns that hold variables by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{SealError, Sealer};

/// The value of a variable.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct EnvValue {
    /// The value itself.
    pub value: String,
    /// Whether it is never shown.
    pub secret: bool,
}

/// Every value was a secret, and a mere text, before that could be chosen.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Secret(String),
    Either { value: String, secret: bool },
}

impl From<Stored> for EnvValue {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Secret(value) => Self { value, secret: true },
            Stored::Either { value, secret } => Self { value, secret },
        }
    }
}

/// Variables by name.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Env(pub BTreeMap<String, EnvValue>);

impl Env {
    /// Variables whose values are all secrets.
    #[must_use]
    pub fn secret(values: BTreeMap<String, String>) -> Self {
        let secret = |(name, value)| (name, EnvValue { value, secret: true });
        Self(values.into_iter().map(secret).collect())
    }

    /// What a program is given.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect()
    }

    /// Those of it that nobody may read.
    #[must_use]
    pub fn secrets(&self) -> BTreeMap<String, String> {
        let secret = self.0.iter().filter(|(_, value)| value.secret);
        secret.map(|(name, value)| (name.clone(), value.value.clone())).collect()
    }
}

impl Sealer {
    /// Seals an environment.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn seal_env(&self, row: &str, column: &str, env: &Env) -> Result<Vec<u8>, SealError> {
        self.seal(row, column, &serde_json::to_vec(env).map_err(|_| SealError::Refused)?)
    }

    /// Opens an environment.
    ///
    /// # Errors
    /// As [`Sealer::unseal`].
    pub fn unseal_env(&self, row: &str, column: &str, sealed: &[u8]) -> Result<Env, SealError> {
        serde_json::from_slice(&self.unseal(row, column, sealed)?).map_err(|_| SealError::Refused)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealer() -> (tempfile::TempDir, Sealer) {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&folder.path().join("k")).unwrap();
        (folder, sealer)
    }

    #[test]
    fn what_an_earlier_version_kept_is_a_secret() {
        let (_folder, sealer) = sealer();
        let sealed = sealer.seal("row", "env", br#"{"A":"one"}"#).unwrap();
        let env = sealer.unseal_env("row", "env", &sealed).unwrap();
        assert!(env == Env::secret(BTreeMap::from([("A".into(), "one".into())])));
        assert_eq!(env.secrets(), env.values());
    }

    proptest! {
        #[test]
        fn any_environment_comes_back_equal(
            values in proptest::collection::btree_map("[A-Z_]{1,8}", any::<(String, bool)>(), 0..8)
        ) {
            let (_folder, sealer) = sealer();
            let pair = |(name, (value, secret))| (name, EnvValue { value, secret });
            let env = Env(values.into_iter().map(pair).collect());
            let sealed = sealer.seal_env("row", "env", &env).unwrap();
            prop_assert!(sealer.unseal_env("row", "env", &sealed).unwrap() == env);
        }
    }
}
