//! Domains as the API returns them, with the records that show whose they are.

use pando_store::DomainRow;
use pando_types::Timestamp;
use pando_types::domain::{AppDomain, DnsRecord, DnsRecordPurpose, DnsRecordType};
use pando_types::url::PublicUrls;

/// Goes before a domain in the name of its TXT record.
const CHALLENGE: &str = "_pando-challenge";

/// The name and the value of the TXT record of a claim.
pub(super) fn challenge(row: &DomainRow) -> (String, String) {
    (format!("{CHALLENGE}.{}", row.name), format!("pando-domain={}", row.id))
}

/// A row as the API returns it, of the app whose host has this label.
pub(super) fn domain(row: &DomainRow, label: &str, urls: &PublicUrls) -> AppDomain {
    let host = urls.host(label);
    let (name, value) = challenge(row);
    let dns_note = format!(
        "Make the CNAME record: it leads visitors to the app, and shows that the domain is yours. \
         Where it cannot be (at the root of a zone, or behind a proxy that hides it), make the TXT \
         record, and lead the domain to this server with the provider's ALIAS, ANAME or flattened \
         CNAME to {host}, or with the server's address. Records are looked up by themselves until \
         the domain is active, and daily from then on: leave them in place."
    );
    AppDomain {
        domain: row.name.clone(),
        status: row.status,
        reason: row.reason.clone(),
        url: urls.domain(&row.name),
        records: vec![
            DnsRecord {
                kind: DnsRecordType::Cname,
                name: row.name.clone(),
                value: host,
                purpose: DnsRecordPurpose::Routing,
            },
            DnsRecord {
                kind: DnsRecordType::Txt,
                name,
                value,
                purpose: DnsRecordPurpose::Ownership,
            },
        ],
        dns_note,
        checked_at: row.checked.map(Timestamp::to_rfc3339),
        created_at: row.created.to_rfc3339(),
    }
}
