//! Changing an app's environment. Each change reads and writes in one transaction, so that of two
//! at once neither is lost.

use std::collections::BTreeSet;

use pando_store::{AppRow, EnvValue, Swap, Tx};
use pando_types::env::{EnvImported, EnvScope, EnvSet, ImportEnv, SetEnv};
use pando_types::{AppId, OrgId, PublicError};

use super::{Environments, dotenv, judge};
use crate::app::find;
use crate::context::{Context, Effects};
use crate::error::DeployError;

/// Sets a variable where its scope says.
pub(crate) async fn set(
    context: &Context,
    org: OrgId,
    id: AppId,
    key: &str,
    request: SetEnv,
) -> Result<EnvSet, DeployError> {
    judge::name(key).map_err(|message| PublicError::invalid("key", message))?;
    let SetEnv { value, secret, scope } = request;
    let refused = |message| PublicError::invalid("value", message);
    judge::value(key, &value).map_err(refused)?;
    let (mut tx, app) = find::to_change(context, org, id).await?;
    let mut env = Environments::open(&context.sealer, &app)?;
    env.set(key, &EnvValue { value, secret }, scope);
    judge::together(&env).map_err(refused)?;
    let effects = changed(context, &mut tx, &app, &env).await?;
    context.commit(tx, effects).await?;
    Ok(EnvSet { key: key.to_owned(), secret, scope })
}

/// Takes a variable from where the scope reaches.
pub(crate) async fn unset(
    context: &Context,
    org: OrgId,
    id: AppId,
    key: &str,
    scope: EnvScope,
) -> Result<(), DeployError> {
    let (mut tx, app) = find::to_change(context, org, id).await?;
    let mut env = Environments::open(&context.sealer, &app)?;
    if !env.unset(key, scope) {
        let shown: String = key.chars().take(64).collect();
        return Err(PublicError::not_found("variable", shown).into());
    }
    let effects = changed(context, &mut tx, &app, &env).await?;
    Ok(context.commit(tx, effects).await?)
}

/// Sets every variable of a `.env` file, or none.
pub(crate) async fn import(
    context: &Context,
    org: OrgId,
    id: AppId,
    request: &ImportEnv,
) -> Result<EnvImported, DeployError> {
    let read = dotenv::judged(&request.dotenv)?;
    let (mut tx, app) = find::to_change(context, org, id).await?;
    let mut env = Environments::open(&context.sealer, &app)?;
    let (total, mut names) = (read.len(), BTreeSet::new());
    for it in read {
        env.set(&it.name, &EnvValue { value: it.value, secret: request.secret }, request.scope);
        names.insert(it.name);
    }
    judge::together(&env).map_err(|message| PublicError::invalid("dotenv", message))?;
    let effects = changed(context, &mut tx, &app, &env).await?;
    context.commit(tx, effects).await?;
    Ok(EnvImported { imported: names.len(), total })
}

/// Writes what an app and its previews are given from now on: every change of an environment
/// passes here, in the transaction that reads it. What follows from it is returned, to be
/// committed with it. What runs goes on with what it was started with.
pub(crate) async fn changed(
    context: &Context,
    tx: &mut Tx,
    app: &AppRow,
    next: &Environments,
) -> Result<Effects, DeployError> {
    let was = Environments::open(&context.sealer, app)?;
    let effects = Effects::default();
    if was == *next {
        return Ok(effects);
    }
    if tx.app_change(&next.seal(&context.sealer, app.clone())?).await? != Swap::Done {
        return Err(find::leaving().into());
    }
    if was.previews == next.previews {
        return Ok(effects);
    }
    let inherited = Environments { own: next.previews.clone(), ..Environments::default() };
    for preview in tx.app_list_previews(app.id).await? {
        // One that is being removed needs none of it.
        let _ = tx.app_change(&inherited.seal(&context.sealer, preview)?).await?;
    }
    Ok(effects)
}
