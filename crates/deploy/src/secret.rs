//! A secret of the operator, which prints as nothing.

use std::fmt;

/// A token or a webhook's secret.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Holds it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
