//! The deliveries about an app's repository, and what was decided about the app and its previews.

use pando_store::{AppKind, AppRow, DeliveryRow};
use pando_types::app::AppDelivery;
use pando_types::page::{Cursor, List, PageRequest};
use pando_types::{AppId, DeliveryId, OrgId};

use crate::app::find;
use crate::context::Context;
use crate::error::DeployError;

/// Those of an app, newest first; of a preview, those of its app.
pub(crate) async fn list(
    context: &Context,
    org: OrgId,
    id: AppId,
    page: PageRequest<DeliveryId>,
) -> Result<List<AppDelivery>, DeployError> {
    let app = find::one(context, org, id).await?;
    let rows = context.store.delivery_list(&app.repo_key, page.after, page.rows()).await?;
    let place =
        |(place, row): &(DeliveryId, DeliveryRow)| Cursor { created: row.received, id: *place };
    Ok(List::of(rows, &page, place, |(_, row)| view(row, &app)))
}

/// What the owner of the app may know of it. The repository may have apps of others, too.
fn view(row: &DeliveryRow, app: &AppRow) -> AppDelivery {
    let whose = match &app.kind {
        AppKind::App => app.id,
        AppKind::Preview(preview) => preview.parent,
    };
    let verdict = row.verdicts.iter().find(|verdict| verdict.app == whose);
    let (decision, reason, deployments) = match verdict {
        Some(verdict) => {
            (verdict.decision.as_str(), verdict.reason.as_str(), verdict.deployments.clone())
        }
        // Nothing in it is about any app.
        None if row.verdicts.is_empty() => (row.decision.as_str(), row.reason.as_str(), Vec::new()),
        None => ("ignore", "it came before the app was made", Vec::new()),
    };
    AppDelivery {
        id: row.id.clone(),
        event: row.event.clone(),
        repository: row.repository.clone(),
        decision: decision.to_owned(),
        reason: reason.to_owned(),
        deployments,
        received_at: row.received.to_rfc3339(),
    }
}
