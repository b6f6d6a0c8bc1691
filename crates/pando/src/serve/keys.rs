//! The first keys: the operator's preset, or one that is made and printed.

use std::path::Path;

use anyhow::Context;
use pando_api::key::NewKey;
use pando_store::Store;
use pando_vm::sys::durable;

/// Where the CLI on this machine finds a key (`crate::client`).
const ADMIN_KEY_FILE: &str = "admin.key";
/// A key that automation knows beforehand.
const PRESET_VARIABLE: &str = "PANDO_API_KEY";

/// Stores the preset key, or makes the first one.
pub(super) async fn prepare(store: &Store, data: &Path) -> anyhow::Result<()> {
    let org = store.org_default().await.context("the rows")?;
    if let Some(text) = std::env::var(PRESET_VARIABLE).ok().filter(|text| !text.is_empty()) {
        let key =
            NewKey::from_preset(org.id, "preset", &text, store.now()).context(PRESET_VARIABLE)?;
        // It is there already at every start but the first.
        let _ = store.key_insert(&key.row).await.context("the rows")?;
        return Ok(());
    }
    if store.key_count(org.id).await.context("the rows")? > 0 {
        return Ok(());
    }
    let key = NewKey::generate(org.id, "admin", store.now())?;
    // The file first: a key that was stored and shown to nobody could never be used.
    durable::write_file(&data.join(ADMIN_KEY_FILE), key.text.as_bytes()).context(ADMIN_KEY_FILE)?;
    let _ = store.key_insert(&key.row).await.context("the rows")?;
    println!("API key (shown once; the CLI on this machine finds it by itself): {}", key.text);
    Ok(())
}
