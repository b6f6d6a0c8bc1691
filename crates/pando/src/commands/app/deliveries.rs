//! `pando app deliveries`.

use pando_types::app::AppDelivery;
use pando_types::page::List;

use super::find;
use crate::client::{ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// Whose.
#[derive(Debug, clap::Args)]
pub struct DeliveriesArgs {
    /// The app's name or id
    app: String,
    /// How many at most, the newest: 1 to 1000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs, args: DeliveriesArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let answer = api.get(&format!("/apps/{}/deliveries?limit={}", app.id, args.limit)).await?;
    if client.json {
        return output::json(&answer);
    }
    let list: List<AppDelivery> = read(&answer)?;
    output::line(&table(list.items))
}

fn table(deliveries: Vec<AppDelivery>) -> String {
    let row = |it: AppDelivery| vec![it.received_at, it.event, it.decision, it.reason, it.id];
    let header = ["RECEIVED", "EVENT", "DECISION", "REASON", "ID"];
    output::table(&header, deliveries.into_iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delivery_has_its_reason() {
        let delivery = AppDelivery {
            id: "72d3162e".into(),
            event: "push".into(),
            repository: Some("acme/shop".into()),
            decision: "ignore".into(),
            reason: "shop deploys main, not \u{1b}[2Jblue".into(),
            deployments: Vec::new(),
            received_at: "2026-01-31T09:05:00.250Z".into(),
        };
        insta::assert_snapshot!(table(vec![delivery]), @r"
        RECEIVED                  EVENT  DECISION  REASON                           ID
        2026-01-31T09:05:00.250Z  push   ignore    shop deploys main, not  [2Jblue  72d3162e
        ");
    }
}
