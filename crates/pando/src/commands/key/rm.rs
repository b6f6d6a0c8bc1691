//! `pando key rm`.

use pando_store::{KeyRow, Store};
use serde_json::json;

use super::ls;
use crate::commands::rows_args::RowsArgs;
use crate::error::Failure;
use crate::output;

/// Which.
#[derive(Debug, clap::Args)]
pub struct RmArgs {
    /// The key's prefix or id, as `pando key ls` shows it
    key: String,
    #[command(flatten)]
    rows: RowsArgs,
    /// Print the key's id as JSON
    #[arg(long)]
    json: bool,
}

/// Deletes a key: it is refused from then on.
pub async fn run(args: RmArgs) -> Result<(), Failure> {
    let store = args.rows.open().await?;
    let removed = remove(&store, &args.key).await;
    store.close().await;
    let row = removed?;
    if args.json {
        return output::json(&json!({ "id": row.id, "deleted": true }));
    }
    output::say(&format!("deleted {} ({})", row.prefix, row.label));
    Ok(())
}

async fn remove(store: &Store, wanted: &str) -> Result<KeyRow, Failure> {
    let org = store.org_default().await.map_err(anyhow::Error::new)?.id;
    let keys = ls::all(store, org).await.map_err(anyhow::Error::new)?;
    let row = pick(keys, wanted)?;
    store.key_delete(org, row.id).await.map_err(anyhow::Error::new)?;
    Ok(row)
}

fn pick(keys: Vec<KeyRow>, wanted: &str) -> Result<KeyRow, Failure> {
    let is_wanted = |key: &KeyRow| key.prefix == wanted || key.id.to_string() == wanted;
    let mut found = keys.into_iter().filter(is_wanted);
    let show = "`pando key ls --json` shows prefixes and ids";
    let Some(first) = found.next() else {
        return Err(Failure::new(anyhow::anyhow!("no key has the prefix or id `{wanted}`"), show));
    };
    if found.next().is_some() {
        return Err(Failure::new(anyhow::anyhow!("several keys have the prefix `{wanted}`"), show));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_api::key::NewKey;

    #[tokio::test]
    async fn a_key_goes_by_its_prefix_or_id_and_only_it() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(&data.path().join("pando.db")).await.unwrap();
        let org = store.org_default().await.unwrap().id;
        let mut made = Vec::new();
        for label in ["a", "b", "c"] {
            let key = NewKey::generate(org, label, store.now()).unwrap().row;
            let _ = store.key_insert(&key).await.unwrap();
            made.push(key);
        }
        assert_eq!(remove(&store, &made[0].prefix).await.unwrap().label, "a");
        assert_eq!(remove(&store, &made[2].id.to_string()).await.unwrap().label, "c");
        assert!(remove(&store, "pando_nothing").await.is_err());
        assert_eq!(ls::all(&store, org).await.unwrap(), made[1..2]);
        let twins = vec![made[1].clone(), KeyRow { id: made[0].id, ..made[1].clone() }];
        assert!(pick(twins, &made[1].prefix).is_err());
        store.close().await;
    }
}
