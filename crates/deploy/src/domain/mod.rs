//! Domains of apps' own.
//!
//! ```text
//!            ┌── nothing found, or DNS is silent ──┐
//! add ──► pending ◄────────────────────────────────┤
//!            │  ▲                                  │
//!  something │  │ nothing found       proven ──► active ──► (gone for a week)
//!  else      ▼  │                                  ▲
//!          error ── proven ────────────────────────┘
//! ```
//!
//! Anybody may add any name, and holds nothing by that: a claim is active once DNS says so, and of
//! all claims to a name one at most is. [`look`] asks DNS, [`policy`] decides, [`check`] writes;
//! [`add`], [`list`] and [`remove`] are what users ask, [`view`] is what they see.

pub(crate) mod add;
pub(crate) mod check;
pub(crate) mod list;
mod look;
mod policy;
pub(crate) mod remove;
mod view;

use pando_store::DomainRow;
use pando_types::domain::DomainName;
use pando_types::{AppId, OrgId, PublicError};

use crate::app::find;
use crate::context::Context;
use crate::error::DeployError;

/// An app's claim to a domain, by whatever spelling.
async fn one(
    context: &Context,
    org: OrgId,
    app: AppId,
    domain: &str,
) -> Result<DomainRow, DeployError> {
    let app = find::one(context, org, app).await?;
    let missing = || {
        let shown: String = domain.chars().take(64).collect();
        DeployError::Refused(PublicError::not_found("domain of this app", shown))
    };
    let name: DomainName = domain.parse().map_err(|_| missing())?;
    let row = context.store.domain_named(app.id, name.as_str()).await?;
    row.ok_or_else(missing)
}
