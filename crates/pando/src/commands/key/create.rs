//! `pando key create`: writes to the rows directly, so that it needs no key.

use std::path::PathBuf;

use pando_api::key::NewKey;
use pando_store::{Insert, Store};
use serde_json::json;

use crate::error::Failure;
use crate::output;

/// The rows' file in the data folder.
const DATABASE_FILE: &str = "pando.db";

/// For whom.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// What the key is for
    label: String,
    /// The server's data folder
    #[arg(long, env = "PANDO_DATA", default_value = "/var/lib/pando")]
    data: PathBuf,
    /// Print id, label, prefix and key as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the key.
pub async fn run(args: CreateArgs) -> Result<(), Failure> {
    let path = args.data.join(DATABASE_FILE);
    // Opening would make it, in what may be the wrong folder.
    if !path.is_file() {
        let error = anyhow::anyhow!("{} holds no Pando data", args.data.display());
        return Err(Failure::new(
            error,
            "start `pando serve` once, or name its folder with --data",
        ));
    }
    let store = Store::open(&path)
        .await
        .map_err(|error| Failure::new(error, "run it as the user that runs `pando serve`"))?;
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
        let store = Store::open(&data.path().join(DATABASE_FILE)).await.unwrap();
        let key = make(&store, "laptop").await.unwrap();
        let found = store.key_by_hash(&hash(&key.text)).await.unwrap().unwrap();
        assert_eq!(found.label, "laptop");
        assert!(make(&store, "").await.is_err());
        store.close().await;
    }

    #[tokio::test]
    async fn a_folder_without_data_stays_as_it_is() {
        let data = tempfile::tempdir().unwrap();
        let args = CreateArgs { label: "x".into(), data: data.path().into(), json: false };
        assert!(run(args).await.is_err());
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
    }
}
