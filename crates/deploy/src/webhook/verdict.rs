//! What follows from a delivery, and the reasons that its sender and the owners of apps can read.

use pando_store::VerdictRow;
use pando_types::{AppId, DeploymentId};

/// The longest reason that is kept.
const MAX_REASON_CHARS: usize = 2000;

/// What was decided about one app and its previews, and why.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub deployments: Vec<DeploymentId>,
    pub removes: bool,
    pub reasons: Vec<String>,
}

/// What was decided about all apps of the repository. Apps may be of several orgs: none is told
/// what was decided about another's.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    pub of_apps: Vec<(AppId, Verdict)>,
    /// What is true of the delivery, whichever app.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Nothing follows, for this reason.
    pub(super) fn ignored(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], ..Self::default() }
    }

    /// The decision in one word.
    pub(super) fn decision(&self) -> &'static str {
        match (self.deployments.is_empty(), self.removes) {
            (false, _) => "deploy",
            (true, true) => "remove",
            (true, false) => "ignore",
        }
    }
}

impl Verdicts {
    /// Nothing follows for any app, for this reason.
    pub(super) fn ignored(reason: impl Into<String>) -> Self {
        Self { notes: vec![reason.into()], ..Self::default() }
    }

    /// All of it as one, for the sender.
    pub(super) fn together(&self) -> Verdict {
        let mut all = Verdict::default();
        for (_, verdict) in &self.of_apps {
            all.deployments.extend(&verdict.deployments);
            all.removes |= verdict.removes;
            all.reasons.extend(verdict.reasons.iter().cloned());
        }
        all.reasons.extend(self.notes.iter().cloned());
        all
    }

    /// Each by itself, for the owners of apps.
    pub(super) fn rows(&self) -> Vec<VerdictRow> {
        let row = |(app, verdict): &(AppId, Verdict)| {
            let all = verdict.reasons.iter().chain(&self.notes).cloned().collect();
            VerdictRow {
                app: *app,
                decision: verdict.decision().to_owned(),
                reason: joined(all),
                deployments: verdict.deployments.clone(),
            }
        };
        self.of_apps.iter().map(row).collect()
    }
}

/// Reasons as one text, no longer than is kept.
pub(super) fn joined(reasons: Vec<String>) -> String {
    reasons.join("; ").chars().take(MAX_REASON_CHARS).collect()
}
