//! What a forge tells after something that is newer.

use pando_store::{StoreError, Tx};
use pando_types::{AppId, Timestamp};

/// How long before the head of a branch is asked for by hand a push may have been that is not
/// taken for late: the forge's clock may run behind ours, and what is pushed after must never be.
const CLOCK_BEHIND_MS: i64 = 60_000;

/// When that was which an event tells of, by the forge's clock, and now where that would be later:
/// a clock that runs ahead once would else hold back all that comes after it was set right.
///
/// Both times are the forge's own, and nobody who pushes can choose one: `repository.pushed_at` is
/// when it took the push, `pull_request.updated_at` when it last changed the pull request. The
/// times of commits are not asked: whoever makes a commit writes into it what they like.
pub(crate) fn told_at(tx: &Tx, by_the_forge: Option<Timestamp>) -> Option<Timestamp> {
    by_the_forge.map(|at| at.min(tx.now()))
}

/// Keeps that the head of the app's branch is deployed without a push that says since when it is
/// the head: what was pushed earlier and comes later is not gone back to either.
pub(crate) async fn head_is_asked_for(tx: &mut Tx, app: AppId) -> Result<(), StoreError> {
    let at = tx.now().as_millis().saturating_sub(CLOCK_BEHIND_MS);
    // Where a later push was told of, that stays.
    let _: bool = tx.app_told(app, Timestamp::from_millis(at)).await?;
    Ok(())
}

/// Whether something later was told of the pull request before; else this is kept as the latest.
/// Not asked of its preview: that of a closed one is gone, and must not come back.
pub(crate) async fn is_late(
    tx: &mut Tx,
    keys: impl IntoIterator<Item = &String>,
    number: u64,
    updated_at: Option<Timestamp>,
) -> Result<bool, StoreError> {
    let Some(at) = told_at(tx, updated_at) else { return Ok(false) };
    let mut is_late = false;
    for key in keys {
        is_late |= !tx.pull_request_told(key, number, at).await?;
    }
    Ok(is_late)
}
