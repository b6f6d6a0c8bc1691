//! Wiring of `pando doctor`.

use std::process::ExitCode;

use crate::commands::doctor::DoctorArgs;

/// Runs the command; the exit code is 1 when a check failed.
pub async fn run(_args: DoctorArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not wired yet")
}
