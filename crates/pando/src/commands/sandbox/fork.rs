//! `pando sandbox fork`.

use pando_types::SandboxId;
use pando_types::snapshot::{Children, ForkTree};

use crate::client::{ClientArgs, read};
use crate::commands::pair;
use crate::error::Failure;
use crate::output;

/// Of which, and how many.
#[derive(Debug, clap::Args)]
pub struct ForkArgs {
    /// The sandbox that goes on beside its children
    id: SandboxId,
    /// How many children, at most 16
    #[arg(long, default_value_t = 1)]
    count: u8,
    /// A pair of the children, instead of their parent's (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair::parse)]
    metadata: Vec<(String, String)>,
}

/// Prints the ids of the children, or the tree as JSON.
pub async fn run(client: &ClientArgs, args: ForkArgs) -> Result<(), Failure> {
    let request = ForkTree { count: Some(args.count.into()), metadata: pair::map(args.metadata) };
    let path = format!("/sandboxes/{}/fork-tree", args.id);
    let answer = client.client()?.post(&path, &request).await?;
    if client.json {
        return output::json(&answer);
    }
    let tree: Children = read(&answer)?;
    output::say(&format!("the sandbox stood still for {} ms", tree.pause_ms));
    for child in tree.children {
        output::line(&child.id.to_string())?;
    }
    Ok(())
}
