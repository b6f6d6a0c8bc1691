//! The kinds of jobs.

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bring a deployment to its end. Keyed by deployment.
    Deploy,
    /// Remove the sandboxes of a deployment that does not serve. Keyed by deployment.
    Sweep,
    /// Bring back an app whose machine died. Keyed by app.
    Revive,
    /// Remove an app. Keyed by app.
    Remove,
    /// Say in the pull request how its preview is. Keyed by preview.
    Comment,
    /// Say at the commit how its deployment is. Keyed by deployment.
    Status,
    /// Look up whose a domain is, for as long as an app claims it. Keyed by claim.
    Domain,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Deploy,
        Self::Sweep,
        Self::Revive,
        Self::Remove,
        Self::Comment,
        Self::Status,
        Self::Domain,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Sweep => "sweep",
            Self::Revive => "revive",
            Self::Remove => "remove",
            Self::Comment => "comment",
            Self::Status => "status",
            Self::Domain => "domain",
        }
    }

    /// How many run at once, where deployments have `deployments`.
    pub(crate) const fn workers(self, deployments: usize) -> usize {
        match self {
            Self::Deploy => deployments,
            Self::Sweep | Self::Remove => 2,
            // Each waits for resolvers, and costs nothing meanwhile.
            Self::Domain => 4,
            Self::Revive | Self::Comment | Self::Status => 1,
        }
    }
}
