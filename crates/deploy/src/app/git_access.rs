//! With what an app's repository is read: a token over https, a key over ssh. A preview's
//! is its app's.

use pando_store::{AppKind, AppRow, DeployKey as KeptKey, DeploymentRow, SealError, Swap, Tx};
use pando_types::app::DeployKey;
use pando_types::{AppId, Code, OrgId, PublicError};

use super::find;
use crate::Secret;
use crate::context::Context;
use crate::error::DeployError;
use crate::git::{Credential, GitUrl, KeyPair, Source, Wanted};

const TOKEN: &str = "git_token";
const KEY: &str = "deploy_key";

/// Seals a token for an app's row.
pub(crate) fn seal_token(
    context: &Context,
    id: AppId,
    token: Option<&str>,
) -> Result<Option<Vec<u8>>, SealError> {
    let seal = |token: &str| context.sealer.seal(&id.to_string(), TOKEN, token.as_bytes());
    token.map(seal).transpose()
}

/// An app's repository, with what opens it.
pub(crate) async fn source(
    context: &Context,
    app: &AppRow,
    url: GitUrl,
) -> Result<Source, DeployError> {
    let parent = match &app.kind {
        AppKind::App => None,
        AppKind::Preview(preview) => context.store.app_get(preview.parent).await?,
    };
    let holder = parent.as_ref().unwrap_or(app);
    let open = |column: &str, sealed: &[u8]| {
        let opened = context.sealer.unseal(&holder.id.to_string(), column, sealed)?;
        Ok::<_, SealError>(Secret::new(String::from_utf8_lossy(&opened)))
    };
    let credential = if url.is_ssh() {
        let key = holder.deploy_key.as_ref().map(|key| open(KEY, &key.private_sealed));
        key.transpose()?.map(Credential::Key)
    } else {
        let token = holder.git_token_sealed.as_ref().map(|sealed| open(TOKEN, sealed));
        token.transpose()?.map(Credential::Token)
    };
    Ok(Source::new(url, app.org, credential))
}

/// What a deployment asks of the repository, and on which branch its tree is.
pub(crate) async fn wanted(
    context: &Context,
    app: &AppRow,
    row: &DeploymentRow,
) -> Result<Wanted, DeployError> {
    let wanted = Wanted::of(&row.git_ref, &row.commit);
    let AppKind::Preview(preview) = &app.kind else {
        return Ok(if wanted.branch.is_some() { wanted } else { wanted.on(&[&app.git_branch]) });
    };
    let parent = context.store.app_get(preview.parent).await?;
    let live = match parent.and_then(|parent| parent.active_deployment) {
        Some(live) => context.store.deployment_get(live).await?,
        None => None,
    };
    let number = format!("pull/{}", preview.pr_number);
    Ok(wanted.on(&[&app.git_branch, &number]).vouched_by(live.map(|live| live.commit)))
}

pub(crate) async fn key_get(
    context: &Context,
    org: OrgId,
    id: AppId,
) -> Result<DeployKey, DeployError> {
    let app = find::one(context, org, id).await?;
    let key = app.deploy_key.map(|key| DeployKey { public_key: key.public });
    let missing = || {
        PublicError::new(Code::NotFound, "the app has no deploy key")
            .hint("POST to the same path makes one")
    };
    Ok(key.ok_or_else(missing)?)
}

pub(crate) async fn key_make(
    context: &Context,
    org: OrgId,
    id: AppId,
) -> Result<DeployKey, DeployError> {
    let (tx, app) = find::to_change(context, org, id).await?;
    if let Some(key) = app.deploy_key {
        return Ok(DeployKey { public_key: key.public });
    }
    let is_ssh = context.mirrors.parse(&app.git_url).is_ok_and(|url| url.is_ssh());
    if !is_ssh {
        let message = "a deploy key is for an ssh address, and the app's is not one";
        let hint =
            "make the app with a git_url like git@host:owner/repo, or give this one a git_token";
        return Err(PublicError::new(Code::Conflict, message).hint(hint).into());
    }
    let pair = KeyPair::new(&format!("pando-{}", app.name)).map_err(|error| {
        tracing::error!(%error, "a deploy key");
        PublicError::internal()
    })?;
    let private = pair.private.reveal().as_bytes();
    let private_sealed = context.sealer.seal(&id.to_string(), KEY, private)?;
    let key = KeptKey { private_sealed, public: pair.public.clone() };
    set(tx, id, Some(&key)).await?;
    Ok(DeployKey { public_key: pair.public })
}

pub(crate) async fn key_forget(
    context: &Context,
    org: OrgId,
    id: AppId,
) -> Result<(), DeployError> {
    let (tx, _) = find::to_change(context, org, id).await?;
    set(tx, id, None).await
}

async fn set(mut tx: Tx, id: AppId, key: Option<&KeptKey>) -> Result<(), DeployError> {
    if tx.app_set_deploy_key(id, key).await? != Swap::Done {
        return Err(find::leaving().into());
    }
    tx.commit().await?;
    Ok(())
}
