//! `GET /v1/domains/ask`, without a key.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use pando_types::schema::value::DomainText;
use pando_types::{Code, PublicError, limits};
use utoipa::IntoParams;

use crate::refusal::Refused;
use crate::refusals::Refusals;
use crate::{Api, query};

/// How often all together may ask, which needs no key.
#[derive(Debug, Clone)]
pub struct AskRate(Arc<DefaultDirectRateLimiter>);

impl Default for AskRate {
    fn default() -> Self {
        let rate = NonZeroU32::new(limits::MAX_DOMAIN_ASKS_PER_SEC).unwrap_or(NonZeroU32::MIN);
        Self(Arc::new(RateLimiter::direct(Quota::per_second(rate))))
    }
}

impl AskRate {
    fn count(&self) -> Result<(), PublicError> {
        self.0.check().map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            let secs = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            PublicError::new(Code::OverQuota, "domains are asked about too fast").retry_after(secs)
        })
    }
}

/// The query, as the route describes it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes; the handler reads")]
pub struct About {
    /// The name that a certificate is wanted for.
    #[param(value_type = DomainText, inline)]
    domain: String,
}

/// 200 when a domain is active, 404 when it is not: for a TLS proxy in front that makes
/// certificates on demand.
///
/// No key. All together may ask 100 times a second.
#[utoipa::path(
    get, path = "/domains/ask", tag = "apps", operation_id = "domain_ask", security(()),
    params(About), responses((status = 200), Refusals)
)]
pub async fn ask(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<StatusCode, Refused> {
    api.asks.count()?;
    let name = query::value(query.as_deref(), "domain")?
        .ok_or_else(|| PublicError::invalid("domain", "`domain` is missing"))?;
    if api.deploy.domain_is_active(&name) {
        return Ok(StatusCode::OK);
    }
    Err(PublicError::new(Code::NotFound, "no app has this domain").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_ask_so_often_and_no_more() {
        let rate = AskRate::default();
        let asks = 10 * limits::MAX_DOMAIN_ASKS_PER_SEC;
        let refused = (0..asks).find_map(|_| rate.clone().count().err()).unwrap();
        assert_eq!((refused.code, refused.retry_after_secs), (Code::OverQuota, Some(1)));
    }
}
