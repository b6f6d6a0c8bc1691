//! `pando key create`: writes to the rows directly, so that it needs no key.

use pando_api::key::NewKey;
use pando_store::{Insert, Store};
use serde_json::json;

use crate::commands::rows_args::RowsArgs;
use crate::error::Failure;
use crate::output;

/// For whom.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// What the key is for
    label: String,
    #[command(flatten)]
    rows: RowsArgs,
    /// Print id, label, prefix and key as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the key.
pub async fn run(args: CreateArgs) -> Result<(), Failure> {
    let store = args.rows.open().await?;
    let made = make(&store, &args.label).await;
    store.close().await;
    let key = made?;
    if args.json {
        let row = &key.row;
        return output::json(&json!({
            "id": row.id, "label": row.label, "prefix": row.prefix, "key": key.text,
        }));
    }
    output::say("This key is shown once; it works at once:");
    output::line(&key.text)
}

async fn make(store: &Store, label: &str) -> Result<NewKey, Failure> {
    let org = store.org_default().await.map_err(anyhow::Error::new)?;
    let key = NewKey::generate(org.id, label, store.now())
        .map_err(|error| Failure::usage(error.to_string(), "pando key create my-laptop"))?;
    match store.key_insert(&key.row).await.map_err(anyhow::Error::new)? {
        Insert::Done => Ok(key),
        Insert::Exists => Err(Failure::from(anyhow::anyhow!("a random key came twice"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_api::key::hash;

    #[tokio::test]
    async fn a_made_key_is_found_by_its_hash() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(&data.path().join("pando.db")).await.unwrap();
        let key = make(&store, "laptop").await.unwrap();
        let found = store.key_by_hash(&hash(&key.text)).await.unwrap().unwrap();
        assert_eq!(found.key.label, "laptop");
        assert!(make(&store, "").await.is_err());
        store.close().await;
    }
}
