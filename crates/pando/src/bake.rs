//! Wiring of `pando bake`.

use crate::commands::bake::BakeArgs;

/// Runs the command.
pub async fn run(_args: BakeArgs) -> anyhow::Result<()> {
    anyhow::bail!("not wired yet")
}
