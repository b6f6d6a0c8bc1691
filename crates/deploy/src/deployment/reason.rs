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
