//! `pando sandbox ls`.

use pando_types::page::List;
use pando_types::sandbox::Sandbox;

use crate::client::{ClientArgs, read};
use crate::commands::{pair, word};
use crate::error::Failure;
use crate::output;

/// Which to list.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// Only those with this pair; with several, with all of them (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair::parse)]
    metadata: Vec<(String, String)>,
}

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs, args: LsArgs) -> Result<(), Failure> {
    let pairs = args.metadata.into_iter().map(|(name, value)| (format!("metadata.{name}"), value));
    let query: Vec<_> = pairs.collect();
    let answer = client.client()?.list_where("/sandboxes", &query).await?;
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
