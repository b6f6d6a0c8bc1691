//! `pando doctor`: what was looked at, a line each, and what to do about it.

use std::process::ExitCode;

use crate::commands::doctor::DoctorArgs;
use crate::error::Failure;
use crate::host::doctor::{Verdict, run as look};
use crate::output;

/// Runs the command; the exit code is 1 when a check failed.
pub async fn run(args: DoctorArgs) -> Result<ExitCode, Failure> {
    let checks = look(&args.data, args.vm_uid_base).await;
    if args.json {
        output::json(&serde_json::to_value(&checks).map_err(anyhow::Error::new)?)?;
    } else {
        for check in &checks {
            let mark = match check.verdict {
                Verdict::Ok => "ok  ",
                Verdict::Warning => "warn",
                Verdict::Failed => "FAIL",
            };
            output::line(&format!("{mark}  {:<20} {}", check.name, check.found))?;
            if let Some(fix) = &check.fix {
                output::line(&format!("      {:<20} fix: {fix}", ""))?;
            }
        }
    }
    let failed = checks.iter().any(|check| check.verdict == Verdict::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
