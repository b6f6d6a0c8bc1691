//! What the previews of a repository are given: the variables of scope `preview` of the org's apps
//! of it. What the apps' own deployments are given is not touched.

use pando_store::{AppRow, EnvValue};
use pando_types::env::{EnvImported, EnvList, EnvScope, EnvSet};
use pando_types::repo::{ImportPreviewEnv, SetPreviewEnv};
use pando_types::{OrgId, PublicError};

use super::apps;
use crate::app::env::{self, Environments, dotenv, judge};
use crate::context::{Context, Effects};
use crate::error::DeployError;

/// The variables, by name; a name stands there once for each value that one of the apps has.
pub(crate) async fn list(
    context: &Context,
    org: OrgId,
    number: u64,
) -> Result<EnvList, DeployError> {
    let mut tx = context.store.begin().await?;
    let apps = apps(&mut tx, org, number).await?;
    drop(tx);
    let mut all = Vec::new();
    for app in apps {
        for entry in Environments::open(&context.sealer, &app)?.of_previews() {
            if !all.contains(&entry) {
                all.push(entry);
            }
        }
    }
    all.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(EnvList { env: all })
}

/// Sets a variable.
pub(crate) async fn set(
    context: &Context,
    org: OrgId,
    number: u64,
    key: &str,
    request: SetPreviewEnv,
) -> Result<EnvSet, DeployError> {
    judge::name(key).map_err(|message| PublicError::invalid("key", message))?;
    let SetPreviewEnv { value, secret } = request;
    judge::value(key, &value).map_err(|message| PublicError::invalid("value", message))?;
    let value = EnvValue { value, secret };
    change(context, org, number, "value", |env| env.set_for_previews(key, &value)).await?;
    Ok(EnvSet { key: key.to_owned(), secret, scope: EnvScope::Preview })
}

/// Takes a variable from the previews of all apps.
pub(crate) async fn unset(
    context: &Context,
    org: OrgId,
    number: u64,
    key: &str,
) -> Result<(), DeployError> {
    let mut found = false;
    change(context, org, number, "key", |env| found |= env.unset(key, EnvScope::Preview)).await?;
    if found {
        return Ok(());
    }
    let shown: String = key.chars().take(64).collect();
    Err(PublicError::not_found("variable", shown).into())
}

/// Sets every variable of a `.env` file, or none.
pub(crate) async fn import(
    context: &Context,
    org: OrgId,
    number: u64,
    request: &ImportPreviewEnv,
) -> Result<EnvImported, DeployError> {
    let read = dotenv::judged(&request.dotenv)?;
    let mut imported = 0;
    change(context, org, number, "dotenv", |env| {
        let mut names = std::collections::BTreeSet::new();
        for it in &read {
            let value = EnvValue { value: it.value.clone(), secret: request.secret };
            env.set_for_previews(&it.name, &value);
            names.insert(&it.name);
        }
        imported = names.len();
    })
    .await?;
    Ok(EnvImported { imported, total: read.len() })
}

/// Changes the environments of all apps, or of none; a refusal is about `field`.
async fn change(
    context: &Context,
    org: OrgId,
    number: u64,
    field: &str,
    mut change: impl FnMut(&mut Environments),
) -> Result<(), DeployError> {
    let mut tx = context.store.begin().await?;
    let apps: Vec<AppRow> = apps(&mut tx, org, number).await?;
    let mut effects = Effects::default();
    for app in apps {
        let mut env = Environments::open(&context.sealer, &app)?;
        change(&mut env);
        judge::together(&env).map_err(|message| PublicError::invalid(field, message))?;
        effects.join(env::changed(context, &mut tx, &app, &env).await?);
    }
    Ok(context.commit(tx, effects).await?)
}
