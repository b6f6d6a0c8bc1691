//! `pando volume ls`.

use pando_types::page::List;
use pando_types::volume::Volume;

use crate::client::{ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs) -> Result<(), Failure> {
    let answer = client.client()?.list_where("/volumes", &[]).await?;
    if client.json {
        return output::json(&answer);
    }
    let list: List<Volume> = read(&answer)?;
    let header = ["NAME", "SIZE", "ATTACHED TO", "CREATED"];
    output::line(&output::table(&header, list.items.into_iter().map(row)))
}

fn row(volume: Volume) -> Vec<String> {
    vec![
        volume.name,
        format!("{} MiB", volume.size_mb),
        volume.attached_to.map(|sandbox| sandbox.to_string()).unwrap_or_default(),
        volume.created_at,
    ]
}
