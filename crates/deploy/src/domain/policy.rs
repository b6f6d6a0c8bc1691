//! What follows from what DNS says. Pure.

use std::time::Duration;

use pando_store::DomainRow;
use pando_types::Timestamp;
use pando_types::domain::DomainStatus;

/// How long an active domain goes on without its records, which may be on their way to another
/// provider.
const GRACE: Duration = Duration::from_secs(7 * 24 * 3600);
/// When an active domain is looked up again, and one whose records are missing.
const DAILY: Duration = Duration::from_secs(24 * 3600);
const HOURLY: Duration = Duration::from_secs(3600);
/// The same for one that is not active: soon at first, for whoever waits for it.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// What DNS says about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// One of its records is there.
    Proven,
    /// Neither is there.
    Missing,
    /// Something else is there, for this reason.
    Wrong(String),
    /// It could not be asked, for this reason.
    Unknown(String),
}

/// The claim after `finding`. That no other claim has the name is not looked at here.
pub(super) fn after(row: &DomainRow, finding: &Finding, now: Timestamp) -> DomainRow {
    let is_active = row.status == DomainStatus::Active;
    let (status, reason, missing) = match finding {
        Finding::Proven => (DomainStatus::Active, None, None),
        // Nothing is known to have changed.
        Finding::Unknown(why) => (row.status, Some(why.clone()), row.missing),
        Finding::Missing | Finding::Wrong(_) if is_active => {
            let since = row.missing.unwrap_or(now);
            let why = match finding {
                Finding::Wrong(why) => why.as_str(),
                _ => "neither record is there any more",
            };
            if now.since(since) >= GRACE {
                (DomainStatus::Pending, Some(format!("{why}, for a week now")), None)
            } else {
                let until = since.plus(GRACE).to_rfc3339();
                (row.status, Some(format!("{why}; it is served until {until}")), Some(since))
            }
        }
        Finding::Missing => {
            (DomainStatus::Pending, Some("neither record is there yet".into()), None)
        }
        Finding::Wrong(why) => (DomainStatus::Error, Some(why.clone()), None),
    };
    DomainRow { status, reason, missing, checked: Some(now), ..row.clone() }
}

/// A proven claim while another one that is proven, too, has the name: who has it keeps it.
pub(super) fn taken(row: &DomainRow, now: Timestamp) -> DomainRow {
    let reason = "another app has this domain, and its record is there still: remove that record, \
                  or the domain from that app";
    DomainRow {
        status: DomainStatus::Error,
        reason: Some(reason.into()),
        missing: None,
        checked: Some(now),
        ..row.clone()
    }
}

/// A claim that had the name, and has no record any more when another one is proven.
pub(super) fn passed_on(row: &DomainRow, now: Timestamp) -> DomainRow {
    let reason = "another app has shown that this domain leads to it";
    DomainRow {
        status: DomainStatus::Pending,
        reason: Some(reason.into()),
        missing: None,
        checked: Some(now),
        ..row.clone()
    }
}

/// When to look again at what has been looked at this often since it was last asked for.
pub(super) fn pause(row: &DomainRow, times: u32) -> Duration {
    match (row.status, row.missing) {
        (DomainStatus::Active, None) => DAILY,
        (DomainStatus::Active, Some(_)) => HOURLY,
        _ => (FIRST_PAUSE * (1 << times.saturating_sub(1).min(11))).min(HOURLY),
    }
}

#[cfg(test)]
mod tests {
    use pando_types::{AppId, DomainId, Generation, OrgId};

    use super::*;
    use DomainStatus::{Active, Error, Pending};

    fn row(status: DomainStatus) -> DomainRow {
        DomainRow {
            id: DomainId::new(),
            org: OrgId::new(),
            app: AppId::new(),
            name: "shop.example.com".into(),
            status,
            reason: None,
            missing: None,
            checked: None,
            revision: Generation::first(),
            created: Timestamp::from_millis(0),
        }
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_secs(secs))
    }

    #[test]
    fn a_proof_makes_it_active_whatever_it_was() {
        for status in [Pending, Error, Active] {
            let next = after(&row(status), &Finding::Proven, at(1));
            assert_eq!((next.status, next.reason, next.checked), (Active, None, Some(at(1))));
        }
    }

    #[test]
    fn without_a_proof_it_waits_and_says_why() {
        let wrong = Finding::Wrong("it leads to x".into());
        let silent = Finding::Unknown("no resolver".into());
        for (status, finding, expected) in [
            (Pending, &Finding::Missing, Pending),
            (Error, &Finding::Missing, Pending),
            (Pending, &wrong, Error),
            (Error, &wrong, Error),
            (Pending, &silent, Pending),
            (Error, &silent, Error),
            (Active, &silent, Active),
        ] {
            let next = after(&row(status), finding, at(1));
            assert_eq!(next.status, expected, "{status:?} {finding:?}");
            assert!(next.reason.is_some());
        }
    }

    #[test]
    fn an_active_one_outlives_its_records_for_a_week() {
        let week = GRACE.as_secs();
        for finding in [Finding::Missing, Finding::Wrong("it leads to x".into())] {
            let first = after(&row(Active), &finding, at(10));
            assert_eq!((first.status, first.missing), (Active, Some(at(10))));
            let later = after(&first, &finding, at(9 + week));
            assert_eq!((later.status, later.missing), (Active, Some(at(10))));
            assert!(later.reason.as_ref().unwrap().contains("until 1970-01-08T"), "{later:?}");
            // A resolver that is silent proves nothing, either way.
            let silent = after(&later, &Finding::Unknown("x".into()), at(90 + week));
            assert_eq!((silent.status, silent.missing), (Active, Some(at(10))));
            let over = after(&silent, &finding, at(10 + week));
            assert_eq!((over.status, over.missing), (Pending, None));
            let back = after(&later, &Finding::Proven, at(11));
            assert_eq!((back.status, back.missing, back.reason), (Active, None, None));
        }
    }

    #[test]
    fn it_is_looked_up_soon_at_first_and_then_more_seldom() {
        let pauses: Vec<u64> = [0, 1, 2, 3, 11, 12, u32::MAX]
            .map(|times| pause(&row(Pending), times).as_secs())
            .to_vec();
        assert_eq!(pauses, [2, 2, 4, 8, 2048, 3600, 3600]);
        assert_eq!(pause(&row(Active), 1), DAILY);
        let missing = DomainRow { missing: Some(at(1)), ..row(Active) };
        assert_eq!(pause(&missing, 1), HOURLY);
    }
}
