//! The end of a pull request, whoever tells of it.

use pando_store::{AppRow, StoreError, Tx};

use crate::app::remove;
use crate::context::Effects;

/// Wishes its previews gone, by repository and number alone: whatever the settings or the base
/// branch say now, what was made for the pull request goes with it. Returns them.
pub(crate) async fn close(
    tx: &mut Tx,
    repo_key: &str,
    number: u64,
    effects: &mut Effects,
) -> Result<Vec<AppRow>, StoreError> {
    let previews = tx.app_list_pull_request(repo_key, number).await?;
    for preview in &previews {
        remove::leave(tx, preview, &why(number), effects).await?;
    }
    Ok(previews)
}

/// Why they go.
pub(crate) fn why(number: u64) -> String {
    format!("pull request #{number} was closed")
}
