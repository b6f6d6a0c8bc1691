//! `pando bake`: the template's machine, ahead of the first create.

use anyhow::Context;
use pando_vm::driver::Shape;

use crate::commands::bake::BakeArgs;
use crate::host::{self, HostOptions};

/// Runs the command.
pub async fn run(args: BakeArgs) -> anyhow::Result<()> {
    crate::log::init();
    let options = HostOptions::from(&args.host);
    let host = host::start(&options).await?;
    let shape = Shape { cpu: args.cpu, memory_mib: args.memory_mb };
    let baked = host.node.bake(&args.template, shape).await;
    host.node.stop().await;
    baked
        .map_err(|error| host::not_baked(&options, error))
        .with_context(|| format!("template `{}`", args.template))?;
    eprintln!(
        "template {} is ready for {} vCPUs and {} MiB",
        args.template, args.cpu, args.memory_mb
    );
    Ok(())
}
