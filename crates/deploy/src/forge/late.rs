//! What a forge tells after something that is newer.

use pando_store::{StoreError, Tx};
use pando_types::Timestamp;

/// When that was which an event tells of, by the forge's clock, and now where that would be later:
/// a clock that runs ahead once would else hold back all that comes after it was set right.
///
/// Both times are the forge's own, and nobody who pushes can choose one: `repository.pushed_at` is
/// when it took the push, `pull_request.updated_at` when it last changed the pull request. The
/// times of commits are not asked: whoever makes a commit writes into it what they like.
pub(crate) fn told_at(tx: &Tx, by_the_forge: Option<Timestamp>) -> Option<Timestamp> {
    by_the_forge.map(|at| at.min(tx.now()))
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
