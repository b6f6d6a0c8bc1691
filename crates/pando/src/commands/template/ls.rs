//! `pando template ls`.

use pando_types::page::List;
use pando_types::sandbox::Template;

use crate::client::{ClientArgs, read};
use crate::error::Failure;
use crate::output;

const MIB: u64 = 1024 * 1024;

/// All of them.
#[derive(Debug, clap::Args)]
pub struct LsArgs {}

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs, _args: LsArgs) -> Result<(), Failure> {
    let answer = client.client()?.list("/templates").await?;
    if client.json {
        return output::json(&answer);
    }
    let list: List<Template> = read(&answer)?;
    let header = ["NAME", "VERSION", "FOR", "CPU", "MEMORY", "DISK", "COMMAND"];
    output::line(&output::table(&header, list.items.into_iter().map(row)))
}

fn row(template: Template) -> Vec<String> {
    vec![
        template.name,
        template.version,
        if template.is_global { "all".to_owned() } else { "this org".to_owned() },
        template.cpu.to_string(),
        format!("{} MiB", template.memory_mb),
        format!("{} MiB", template.size_bytes / MIB),
        template.config.map(|config| config.command.join(" ")).unwrap_or_default(),
    ]
}
