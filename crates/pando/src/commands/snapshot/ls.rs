//! `pando snapshot ls`.

use pando_types::SandboxId;
use pando_types::page::List;
use pando_types::snapshot::Snapshot;

use crate::client::{ClientArgs, read};
use crate::error::Failure;
use crate::output;

const MIB: u64 = 1024 * 1024;

/// Which to list.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// Only those of this sandbox
    #[arg(long, value_name = "ID")]
    sandbox: Option<SandboxId>,
}

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs, args: LsArgs) -> Result<(), Failure> {
    let of = args.sandbox.map(|id| ("sandbox_id".to_owned(), id.to_string()));
    let query: Vec<_> = of.into_iter().collect();
    let answer = client.client()?.list_where("/snapshots", &query).await?;
    if client.json {
        return output::json(&answer);
    }
    let list: List<Snapshot> = read(&answer)?;
    let header = ["ID", "NAME", "SANDBOX", "TEMPLATE", "OWN", "SHARED", "CREATED"];
    output::line(&output::table(&header, list.items.into_iter().map(row)))
}

fn row(snapshot: Snapshot) -> Vec<String> {
    let size = |bytes: u64| format!("{} MiB", bytes.div_ceil(MIB));
    vec![
        snapshot.id.to_string(),
        snapshot.name.unwrap_or_default(),
        snapshot.sandbox_id.to_string(),
        snapshot.template,
        size(snapshot.size_bytes),
        size(snapshot.shared_bytes),
        snapshot.created_at,
    ]
}
