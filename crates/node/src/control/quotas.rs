//! What orgs may have, for the node.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pando_store::Store;
use pando_types::OrgId;
use pando_types::quota::Quota;

use crate::Quotas;

/// The rows' quotas.
pub(super) struct RowQuotas(pub Store);

impl Quotas for RowQuotas {
    fn of(&self, org: OrgId) -> BoxFuture<'static, Option<Quota>> {
        let store = self.0.clone();
        let asked = async move {
            // Rows that cannot be read keep nobody asleep.
            store.org_quota(org).await.unwrap_or_else(|error| {
                tracing::warn!(error = crate::chain(&error), "a quota cannot be read");
                None
            })
        };
        asked.boxed()
    }
}
