//! Wiring of `pando teardown`.

use crate::commands::teardown::TeardownArgs;

/// Runs the command.
pub async fn run(_args: TeardownArgs) -> anyhow::Result<()> {
    anyhow::bail!("not wired yet")
}
