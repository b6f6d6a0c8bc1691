//! `pando sandbox create`.

use pando_types::SnapshotId;
use pando_types::sandbox::{CreateSandbox, Sandbox};
use pando_types::volume::AttachVolume;

use crate::client::{ClientArgs, read};
use crate::commands::pair;
use crate::error::Failure;
use crate::output::{self, Progress};

/// What it is to be.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// The template
    #[arg(long)]
    template: Option<String>,
    /// Go on from this snapshot; template and size are then its own
    #[arg(long, value_name = "ID", conflicts_with_all = ["template", "cpu", "memory_mb"])]
    from_snapshot: Option<SnapshotId>,
    /// vCPUs
    #[arg(long)]
    cpu: Option<i64>,
    /// Memory in MiB, in steps of 256
    #[arg(long)]
    memory_mb: Option<i64>,
    /// Seconds until it is removed
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<i64>,
    /// Keep it until it is removed by hand, unless --ttl says otherwise
    #[arg(long)]
    persistent: bool,
    /// Put it to sleep when nobody used it for so long; off, as without this: never
    #[arg(long, value_name = "SECONDS|off", value_parser = idle_timeout)]
    idle_timeout_seconds: Option<i64>,
    /// A pair to find it by (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair::parse)]
    metadata: Vec<(String, String)>,
    /// An address or network that it may not reach; 0.0.0.0/0 for all (repeatable)
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    egress_deny: Vec<String>,
    /// A volume to attach, at /volumes/NAME; with :ro a copy of now, to read (repeatable)
    #[arg(long, value_name = "NAME[:ro]", value_parser = volume)]
    volume: Vec<AttachVolume>,
}

fn idle_timeout(text: &str) -> Result<i64, String> {
    match text {
        "off" => Ok(0),
        text => text.parse().map_err(|_| "must be a whole number of seconds, or off".to_owned()),
    }
}

fn volume(text: &str) -> Result<AttachVolume, String> {
    let (name, read_only) = match text.split_once(':') {
        None => (text, false),
        Some((name, "ro")) => (name, true),
        Some(_) => return Err("must be NAME or NAME:ro".to_owned()),
    };
    Ok(AttachVolume { name: name.to_owned(), read_only })
}

/// Prints the id, or the sandbox as JSON.
pub async fn run(client: &ClientArgs, args: CreateArgs) -> Result<(), Failure> {
    let request = CreateSandbox {
        template: args.template,
        cpu: args.cpu,
        memory_mb: args.memory_mb,
        from_snapshot: args.from_snapshot.map(|id| id.to_string()),
        ttl_seconds: args.ttl,
        persistent: args.persistent.then_some(true),
        idle_timeout_seconds: args.idle_timeout_seconds,
        metadata: pair::map(args.metadata),
        egress_deny: (!args.egress_deny.is_empty()).then_some(args.egress_deny),
        volumes: (!args.volume.is_empty()).then_some(args.volume),
    };
    let progress = Progress::start("creating a sandbox");
    let answer = client.client()?.post("/sandboxes", &request).await?;
    drop(progress);
    if client.json {
        return output::json(&answer);
    }
    let sandbox: Sandbox = read(&answer)?;
    output::say(&format!("its ports: {}", sandbox.url_template));
    output::line(&sandbox.id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_sleeps_after_seconds_or_never() {
        assert_eq!(idle_timeout("300"), Ok(300));
        assert_eq!(idle_timeout("off"), Ok(0));
        for bad in ["", "5m", "never", "1.5"] {
            assert!(idle_timeout(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_volume_is_written_to_unless_it_says_otherwise() {
        let attach = |name: &str, read_only| Ok(AttachVolume { name: name.into(), read_only });
        assert_eq!(volume("data"), attach("data", false));
        assert_eq!(volume("data:ro"), attach("data", true));
        assert!(volume("data:rw").is_err());
    }
}
