//! `pando key ls`.

use pando_store::{KeyRow, Store};
use pando_types::page::{Cursor, PageRequest};
use pando_types::{OrgId, Timestamp};
use serde_json::{Value, json};

use crate::commands::rows_args::RowsArgs;
use crate::error::Failure;
use crate::output;

/// Whose.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    #[command(flatten)]
    rows: RowsArgs,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

/// Prints a table, or the list as JSON; never the keys themselves.
pub async fn run(args: LsArgs) -> Result<(), Failure> {
    let store = args.rows.open().await?;
    let rows = read(&store).await;
    store.close().await;
    let rows = rows.map_err(anyhow::Error::new)?;
    if args.json {
        return output::json(&json!({ "items": rows.iter().map(object).collect::<Vec<_>>() }));
    }
    let header = ["PREFIX", "LABEL", "CREATED", "EXPIRES", "LAST USED"];
    output::line(&output::table(&header, rows.iter().map(row)))
}

async fn read(store: &Store) -> Result<Vec<KeyRow>, pando_store::StoreError> {
    let org = store.org_default().await?.id;
    all(store, org).await
}

/// Every key of an org, page after page.
pub async fn all(store: &Store, org: OrgId) -> Result<Vec<KeyRow>, pando_store::StoreError> {
    let (mut all, mut page) = (Vec::new(), PageRequest::default());
    loop {
        let rows = store.key_list(org, page.after, page.limit).await?;
        page.after = rows.last().map(|row| Cursor { created: row.created, id: row.id });
        let is_last = rows.len() < page.limit as usize;
        all.extend(rows);
        if is_last {
            return Ok(all);
        }
    }
}

fn row(key: &KeyRow) -> Vec<String> {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), Timestamp::to_rfc3339);
    vec![
        key.prefix.clone(),
        key.label.clone(),
        key.created.to_rfc3339(),
        time(key.expires),
        time(key.last_used),
    ]
}

fn object(key: &KeyRow) -> Value {
    json!({
        "id": key.id, "prefix": key.prefix, "label": key.label,
        "created_at": key.created.to_rfc3339(),
        "expires_at": key.expires.map(Timestamp::to_rfc3339),
        "last_used_at": key.last_used.map(Timestamp::to_rfc3339),
    })
}
