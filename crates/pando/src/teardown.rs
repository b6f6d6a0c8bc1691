//! `pando teardown`: nothing of a data folder runs or is mounted afterwards.

use anyhow::Context;

use crate::commands::teardown::TeardownArgs;
use crate::host::{self, HostOptions};

/// Runs the command.
pub async fn run(args: TeardownArgs) -> anyhow::Result<()> {
    crate::log::init();
    let host = host::start(&HostOptions::from(&args.host)).await?;
    // Nobody keeps rows here: the next `serve` finds what is gone.
    let mut reports = host.reports;
    let drain = tokio::spawn(async move { while reports.recv().await.is_some() {} });
    let torn_down = host.node.tear_down().await;
    drop(host.node);
    drain.abort();
    torn_down.context("something could not be removed")?;
    if !args.keep_mount {
        host.data.unmount_pool().await.context("the pool stays mounted")?;
    }
    Ok(())
}
