//! `pando app domain ls`.

use pando_types::domain::{AppDomain, DomainList};

use crate::client::{ClientArgs, read};
use crate::commands::app::find;
use crate::commands::word;
use crate::error::Failure;
use crate::output;

/// Whose.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// The app's name or id
    app: String,
}

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs, args: LsArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let answer = api.get(&format!("/apps/{}/domains", app.id)).await?;
    if client.json {
        return output::json(&answer);
    }
    output::line(&table(read::<DomainList>(&answer)?.domains))
}

fn table(domains: Vec<AppDomain>) -> String {
    let row =
        |it: AppDomain| vec![it.domain, word(&it.status), it.reason.unwrap_or_default(), it.url];
    output::table(&["DOMAIN", "STATUS", "REASON", "URL"], domains.into_iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::app::domain::told;
    use pando_types::domain::{DnsRecord, DnsRecordPurpose, DnsRecordType, DomainStatus};

    #[test]
    fn a_domain_is_listed_with_its_reason_and_shown_with_its_records() {
        let domain = AppDomain {
            domain: "shop.example.com".into(),
            status: DomainStatus::Pending,
            reason: Some("neither record is there \u{1b}[2Jyet".into()),
            url: "https://shop.example.com".into(),
            records: vec![DnsRecord {
                kind: DnsRecordType::Cname,
                name: "shop.example.com".into(),
                value: "shop-1a2b3c.preview.example.net".into(),
                purpose: DnsRecordPurpose::Routing,
            }],
            dns_note: "Make it.".into(),
            checked_at: None,
            created_at: "2026-01-31T09:05:00.250Z".into(),
        };
        insta::assert_snapshot!(table(vec![domain.clone()]), @r"
        DOMAIN            STATUS   REASON                           URL
        shop.example.com  pending  neither record is there  [2Jyet  https://shop.example.com
        ");
        insta::assert_snapshot!(told(&domain), @r"
        shop.example.com is pending: neither record is there  [2Jyet
        TYPE   NAME              VALUE                            PURPOSE
        CNAME  shop.example.com  shop-1a2b3c.preview.example.net  routing
        Make it.
        ");
    }
}
