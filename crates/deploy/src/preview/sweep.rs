//! Pull requests whose closing was never delivered: each that has previews is asked after now and
//! then, or they would live for ever.
//!
//! The forge is asked one thing at a time, with a pause, and is let be until the next look once it
//! does not answer or has had enough. What it does not show (a repository that went, or is hidden
//! from the token) is no closed pull request: its previews stay.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use pando_store::{PreviewedPull, StoreError};

use super::close::close;
use crate::context::{Context, Effects};
use crate::error::DeployError;
use crate::forge::late::is_late;
use crate::forge::{Forge, ForgeError, PullRequestState};

/// How long after its start the server looks first, at most: what the forge delivers again comes
/// before.
const FIRST_LOOK: Duration = Duration::from_secs(300);
/// The pause between two calls. It bounds them to 1,800 an hour; GitHub takes 5,000 of a token.
const PAUSE: Duration = Duration::from_secs(2);
/// How many rows are read at once.
const PAGE: u32 = 64;

/// Looks every so often, until the server stops. Nothing to do without a forge.
pub(crate) async fn keep(context: Arc<Context>, every: Duration) {
    let Some(forge) = context.forge.clone() else { return };
    let mut wait = every.min(FIRST_LOOK);
    loop {
        tokio::select! {
            () = context.shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        tokio::select! {
            () = context.shutdown.cancelled() => return,
            looked = look(&context, &*forge) => if let Err(error) = looked {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "pull requests were not asked after");
            }
        }
        wait = every;
    }
}

async fn look(context: &Context, forge: &dyn Forge) -> Result<(), StoreError> {
    let mut after: Option<PreviewedPull> = None;
    loop {
        let page = context.store.preview_list_pulls(after.as_ref(), PAGE).await?;
        for pull in &page {
            let (repo, number) = (&pull.repo_full_name, pull.number);
            match forge.pull_request(repo, number).await {
                Ok(state) => {
                    if let Err(error) = judge(context, pull, &state).await {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, repo, number, "a closed pull request stays");
                    }
                }
                Err(error) if ends_the_look(&error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the forge is not asked after more pull requests now");
                    return Ok(());
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, repo, number, "the forge does not show a pull request");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        after = page.into_iter().next_back();
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Whether the next pull request would fare the same.
fn ends_the_look(error: &ForgeError) -> bool {
    match error {
        ForgeError::Unreachable(_) => true,
        // GitHub says both when it is asked too often.
        ForgeError::Refused { status, .. } => matches!(status, 401 | 403 | 429) || *status >= 500,
        ForgeError::Unreadable(_) => false,
    }
}

/// Closes what is closed, unless an event that is newer came meanwhile.
async fn judge(
    context: &Context,
    pull: &PreviewedPull,
    state: &PullRequestState,
) -> Result<(), DeployError> {
    // Another forge may know another repository by that name.
    let keys = state.addresses.iter().filter_map(|address| context.mirrors.parse(address).ok());
    let is_same = keys.map(|url| url.repo_key()).any(|key| key == pull.repo_key);
    if state.is_open || !is_same {
        return Ok(());
    }
    let mut tx = context.store.begin().await?;
    if is_late(&mut tx, iter::once(&pull.repo_key), pull.number, state.updated_at).await? {
        return Ok(());
    }
    let mut effects = Effects::default();
    let gone = close(&mut tx, &pull.repo_key, pull.number, &mut effects).await?;
    context.commit(tx, effects).await?;
    let (repo, number) = (&pull.repo_full_name, pull.number);
    tracing::info!(repo, number, previews = gone.len(), "a pull request was closed unheard");
    Ok(())
}
