//! Making an app, and its first deployment with it.

use pando_store::{AppKind, AppRow, Env, Insert, Presence};
use pando_types::app::CreateApp;
use pando_types::route::RouteTarget;
use pando_types::{AppId, Code, OrgId, PublicError};

use super::env::Environments;
use super::git_access::seal_token;
use super::{label, settings};
use crate::context::{Context, Effects};
use crate::deployment::create::{self, Order};
use crate::deployment::reason::Reason;
use crate::error::DeployError;
use crate::forge::late;

/// Makes an app that deploys the head of its branch.
pub(crate) async fn create(
    context: &Context,
    id: AppId,
    org: OrgId,
    request: CreateApp,
) -> Result<AppRow, DeployError> {
    let url = context.mirrors.parse(&request.git_url);
    let url = url.map_err(|error| PublicError::invalid("git_url", error.to_string()))?;
    let wanted = settings::wanted(request, &url, &context.machines.templates(org).await?)?;
    let now = context.store.now();
    let row = AppRow {
        id,
        org,
        kind: AppKind::App,
        label: label::app(&wanted.name, id),
        env_sealed: Vec::new(),
        preview_env_sealed: Vec::new(),
        git_token_sealed: seal_token(context, id, wanted.git_token.as_deref())?,
        deploy_key: None,
        name: wanted.name,
        git_url: wanted.git_url,
        repo_key: wanted.repo_key,
        git_branch: wanted.git_branch,
        template: wanted.template,
        auto_deploy: wanted.auto_deploy,
        previews: wanted.previews,
        framework: wanted.framework,
        install_command: wanted.install_command,
        build_command: wanted.build_command,
        start_command: wanted.start_command,
        root_directory: wanted.root_directory,
        port: wanted.port,
        cpu: wanted.cpu,
        memory_mib: wanted.memory_mib,
        active_deployment: None,
        active_sandbox: None,
        presence: Presence::Kept,
        created: now,
        updated: now,
        latest: None,
    };
    let env =
        Environments { own: Env::secret(wanted.env), previews: Env::secret(wanted.preview_env) };
    let row = env.seal(&context.sealer, row)?;
    let mut tx = context.store.begin().await?;
    if tx.app_insert(&row).await? == Insert::Exists {
        let message = format!("an app named `{}` is there already", row.name);
        return Err(DeployError::Refused(PublicError::new(Code::Conflict, message)));
    }
    let target = RouteTarget { sandbox: None, port: row.port };
    let route = tx.route_put(id, &row.label, Some(target)).await?;
    let mut effects = Effects { routes: vec![route], ..Effects::default() };
    let order = Order::of(&row.git_branch, "", Reason::Create);
    create::create(&mut tx, &row, order, &mut effects).await?;
    late::head_is_asked_for(&mut tx, id).await?;
    let row = tx.app_get(id).await?.unwrap_or(row);
    context.commit(tx, effects).await?;
    Ok(row)
}
