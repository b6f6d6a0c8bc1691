//! `pando sandbox ls`.

use pando_types::page::List;
use pando_types::sandbox::Sandbox;

use crate::client::{ClientArgs, read};
use crate::commands::word;
use crate::error::Failure;
use crate::output;

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs) -> Result<(), Failure> {
    let answer = client.client()?.list("/sandboxes").await?;
    if client.json {
        return output::json(&answer);
    }
    let list: List<Sandbox> = read(&answer)?;
    let header = ["ID", "TEMPLATE", "STATUS", "CPU", "MEMORY", "CREATED", "EXPIRES"];
    output::line(&output::table(&header, list.items.into_iter().map(row)))
}

fn row(sandbox: Sandbox) -> Vec<String> {
    vec![
        sandbox.id.to_string(),
        sandbox.template,
        word(&sandbox.status),
        sandbox.cpu.to_string(),
        format!("{} MiB", sandbox.memory_mb),
        sandbox.created_at,
        sandbox.expires_at.unwrap_or_else(|| "never".to_owned()),
    ]
}
