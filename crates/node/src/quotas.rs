//! Whoever knows what orgs may have, as the node sees it.

use futures_util::future::BoxFuture;
use pando_types::OrgId;
use pando_types::quota::Quota;

/// What the node asks of the rows before a sandbox wakes: what slept took none of its org's
/// share, which others may have had since.
pub trait Quotas: Send + Sync + 'static {
    /// What an org may have; `None` where that cannot be told, and nothing is refused.
    fn of(&self, org: OrgId) -> BoxFuture<'static, Option<Quota>>;
}
