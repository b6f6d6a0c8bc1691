//! What an app's deployments are given, without its secrets.

use pando_store::AppKind;
use pando_types::env::EnvList;
use pando_types::{AppId, OrgId};

use super::Environments;
use crate::app::find;
use crate::context::Context;
use crate::error::DeployError;

/// The variables of an app, or those that a preview has of its app.
pub(crate) async fn list(context: &Context, org: OrgId, id: AppId) -> Result<EnvList, DeployError> {
    let app = find::one(context, org, id).await?;
    let mut env = Environments::open(&context.sealer, &app)?;
    if matches!(app.kind, AppKind::Preview(_)) {
        env = Environments { previews: env.own, ..Environments::default() };
    }
    Ok(EnvList { env: env.entries() })
}
