//! Why a deployment was begun.

/// Why a deployment is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Push,
    PullRequest,
    Create,
    Api,
    Revival,
    Rollback,
    Restart,
}

impl Reason {
    const ALL: [Self; 7] = [
        Self::Push,
        Self::PullRequest,
        Self::Create,
        Self::Api,
        Self::Revival,
        Self::Rollback,
        Self::Restart,
    ];

    /// The reason that a row has.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::PullRequest => "pull_request",
            Self::Create => "create",
            Self::Api => "api",
            Self::Revival => "revival",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
        }
    }
}
