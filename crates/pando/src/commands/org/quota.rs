//! `pando org quota`.

use std::str::FromStr;

use pando_store::{QuotaRow, Store};
use pando_types::quota::Quota;
use serde_json::{Value, json};

use crate::commands::rows_args::RowsArgs;
use crate::error::Failure;
use crate::output;

/// What to set; nothing, to look.
#[derive(Debug, clap::Args)]
pub struct QuotaArgs {
    /// Sandboxes that are not gone and do not sleep
    #[arg(long, value_name = "N|default")]
    sandboxes: Option<Setting>,
    /// Their vCPUs together
    #[arg(long, value_name = "N|default")]
    vcpus: Option<Setting>,
    /// Their memory together, in MiB
    #[arg(long, value_name = "MIB|default")]
    memory_mb: Option<Setting>,
    /// Sandboxes that sleep: while there are more, none is made
    #[arg(long, value_name = "N|default")]
    sleeping: Option<Setting>,
    /// The memory of those that sleep, in MiB, however much of it their images hold
    #[arg(long, value_name = "MIB|default")]
    sleeping_mb: Option<Setting>,
    /// Sandboxes made within any 60 seconds
    #[arg(long, value_name = "N|default")]
    creates_per_minute: Option<Setting>,
    /// Requests of one API key in a second
    #[arg(long, value_name = "N|default")]
    requests_per_second: Option<Setting>,
    /// Volumes
    #[arg(long, value_name = "N|default")]
    volumes: Option<Setting>,
    /// Their sizes together, in MiB
    #[arg(long, value_name = "MIB|default")]
    volume_mb: Option<Setting>,
    #[command(flatten)]
    rows: RowsArgs,
    /// Print the quota as JSON
    #[arg(long)]
    json: bool,
}

/// A number, or `default` for the server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting(Option<u32>);

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "default" {
            return Ok(Self(None));
        }
        let number = text.parse().map_err(|_| "a whole number, or `default`".to_owned())?;
        Ok(Self(Some(number)))
    }
}

/// Sets what is named and prints the quota.
pub async fn run(args: QuotaArgs) -> Result<(), Failure> {
    // A server that nobody may ask cannot be told from one that is down.
    if args.requests_per_second == Some(Setting(Some(0))) {
        return Err(Failure::usage(
            "requests per second must be at least 1",
            "pando org quota --requests-per-second 100",
        ));
    }
    let store = args.rows.open().await?;
    let set = change(&store, &args).await;
    store.close().await;
    let row = set.map_err(anyhow::Error::new)?;
    if args.json {
        return output::json(&object(&row));
    }
    output::line(&table(&row))
}

async fn change(store: &Store, args: &QuotaArgs) -> Result<QuotaRow, pando_store::StoreError> {
    let org = store.org_default().await?.id;
    let mut tx = store.begin().await?;
    let mut row = tx.org_quota(org).await?;
    let settings = [
        (&mut row.sandboxes, args.sandboxes),
        (&mut row.vcpus, args.vcpus),
        (&mut row.memory_mib, args.memory_mb),
        (&mut row.sleeping, args.sleeping),
        (&mut row.sleeping_mib, args.sleeping_mb),
        (&mut row.creates_per_minute, args.creates_per_minute),
        (&mut row.requests_per_second, args.requests_per_second),
        (&mut row.volumes, args.volumes),
        (&mut row.volume_mib, args.volume_mb),
    ];
    for (field, setting) in settings {
        if let Some(Setting(value)) = setting {
            *field = value;
        }
    }
    tx.org_set_quota(org, &row).await?;
    tx.commit().await?;
    Ok(row)
}

fn object(row: &QuotaRow) -> Value {
    let quota = row.quota();
    json!({
        "sandboxes": quota.sandboxes,
        "vcpus": quota.vcpus,
        "memory_mb": quota.memory_mib,
        "sleeping": quota.sleeping,
        "sleeping_mb": quota.sleeping_mib,
        "creates_per_minute": quota.creates_per_minute,
        "requests_per_second": quota.requests_per_second,
        "volumes": quota.volumes,
        "volume_mb": quota.volume_mib,
    })
}

fn table(row: &QuotaRow) -> String {
    let (quota, default) = (row.quota(), Quota::default());
    let line = |what: &str, most: u32, default: u32, set: bool| {
        let from = if set { format!("set (default {default})") } else { "default".to_owned() };
        vec![what.to_owned(), most.to_string(), from]
    };
    let rows = [
        line("sandboxes", quota.sandboxes, default.sandboxes, row.sandboxes.is_some()),
        line("vCPUs", quota.vcpus, default.vcpus, row.vcpus.is_some()),
        line("MiB of memory", quota.memory_mib, default.memory_mib, row.memory_mib.is_some()),
        line("sleeping sandboxes", quota.sleeping, default.sleeping, row.sleeping.is_some()),
        line(
            "MiB of memory asleep",
            quota.sleeping_mib,
            default.sleeping_mib,
            row.sleeping_mib.is_some(),
        ),
        line(
            "creates per minute",
            quota.creates_per_minute,
            default.creates_per_minute,
            row.creates_per_minute.is_some(),
        ),
        line(
            "requests per second and key",
            quota.requests_per_second,
            default.requests_per_second,
            row.requests_per_second.is_some(),
        ),
        line("volumes", quota.volumes, default.volumes, row.volumes.is_some()),
        line("MiB of volumes", quota.volume_mib, default.volume_mib, row.volume_mib.is_some()),
    ];
    output::table(&["QUOTA", "AT MOST", "FROM"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_says_where_it_comes_from() {
        let row = QuotaRow { sandboxes: Some(7), ..QuotaRow::default() };
        insta::assert_snapshot!(table(&row), @r"
        QUOTA                        AT MOST  FROM
        sandboxes                    7        set (default 500)
        vCPUs                        2000     default
        MiB of memory                1048576  default
        sleeping sandboxes           2000     default
        MiB of memory asleep         4194304  default
        creates per minute           1200     default
        requests per second and key  500      default
        volumes                      200      default
        MiB of volumes               1048576  default
        ");
    }

    #[test]
    fn a_setting_is_a_number_or_the_default() {
        assert_eq!("12".parse(), Ok(Setting(Some(12))));
        assert_eq!("default".parse(), Ok(Setting(None)));
        for bad in ["", "-1", "1.5", "many", "4294967296"] {
            assert!(bad.parse::<Setting>().is_err(), "{bad}");
        }
    }
}
