//! Wiring of `pando serve`.

use crate::commands::serve::ServeArgs;

/// Runs the command.
pub async fn run(_args: ServeArgs) -> anyhow::Result<()> {
    anyhow::bail!("not wired yet")
}
