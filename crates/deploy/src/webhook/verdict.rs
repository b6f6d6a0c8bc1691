//! What follows from a delivery, and the reasons that its sender can read.

use pando_types::DeploymentId;

/// What was decided, and why.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub deployments: Vec<DeploymentId>,
    pub removes: bool,
    pub reasons: Vec<String>,
}

impl Verdict {
    /// The decision in one word.
    pub(super) fn decision(&self) -> &'static str {
        match (self.deployments.is_empty(), self.removes) {
            (false, _) => "deploy",
            (true, true) => "remove",
            (true, false) => "ignore",
        }
    }

    /// Nothing follows, for this reason.
    pub(super) fn ignored(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], ..Self::default() }
    }
}
