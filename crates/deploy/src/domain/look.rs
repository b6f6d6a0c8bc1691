//! What DNS says about a claim.

use std::time::Duration;

use pando_store::DomainRow;
use tokio::time::timeout;

use super::policy::Finding;
use super::view;
use crate::dns::{Dns, DnsError};

/// How long all questions about one claim may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The aliases that are followed from a domain.
const MAX_ALIASES: usize = 8;

/// Where a domain's aliases lead.
enum Lead {
    Here,
    Elsewhere(String),
    Nowhere,
}

/// Looks for either proof that `row`'s domain is of whoever has the app at `host`.
pub(super) async fn look(dns: &Dns, row: &DomainRow, host: &str) -> Finding {
    let found = timeout(PATIENCE, find(dns, row, host)).await;
    found.unwrap_or_else(|_| Finding::Unknown("DNS did not answer in time".into()))
}

async fn find(dns: &Dns, row: &DomainRow, host: &str) -> Finding {
    let lead = lead(dns, &row.name, host).await;
    if matches!(lead, Ok(Lead::Here)) {
        return Finding::Proven;
    }
    let (name, value) = view::challenge(row);
    let texts = dns.texts(&name).await;
    if texts.as_ref().is_ok_and(|texts| texts.iter().any(|text| text == value.as_bytes())) {
        return Finding::Proven;
    }
    match (lead, texts) {
        (Err(error), _) => Finding::Unknown(format!("{} cannot be looked up: {error}", row.name)),
        (_, Err(error)) => Finding::Unknown(format!("{name} cannot be looked up: {error}")),
        (Ok(Lead::Elsewhere(target)), _) => {
            let target: String = target.chars().take(253).collect();
            Finding::Wrong(format!("{} leads to {target}, not to {host}", row.name))
        }
        (_, Ok(texts)) if !texts.is_empty() => {
            Finding::Wrong(format!("the TXT record {name} holds another value than {value}"))
        }
        _ => Finding::Missing,
    }
}

async fn lead(dns: &Dns, name: &str, host: &str) -> Result<Lead, DnsError> {
    let mut last = None;
    for _ in 0..MAX_ALIASES {
        let Some(next) = dns.alias(last.as_deref().unwrap_or(name)).await? else { break };
        if next.eq_ignore_ascii_case(host) {
            return Ok(Lead::Here);
        }
        last = Some(next);
    }
    Ok(last.map_or(Lead::Nowhere, Lead::Elsewhere))
}
