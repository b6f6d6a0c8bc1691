//! Where a deployment is, and what follows: pure.
//!
//! ```text
//! Queued → Fetching → Detecting → Installing → Building → Releasing → Starting → Checking → Live
//!    └──────────┴──────────┴───────────┴───────────┴───────────┴──────────┴──────────┤
//!                                          Failed | Cancelled | Superseded ◄─────────┘
//! ```
//!
//! It moves forward only, and nothing follows an end. The one way back: a server
//! that was restarted begins a deployment anew, as another attempt. What need not be built is
//! released after it was queued, or fetched; what runs already is started there.

use pando_store::{DeploymentRow, Entered};
use pando_types::Timestamp;
use pando_types::app::DeploymentStatus::{self, *};
use pando_types::app::Phase;

/// How often a deployment is begun at most: one that takes the server down with
/// it must not do so for ever.
pub(crate) const MAX_ATTEMPTS: u32 = 3;

/// What happens to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The step of its state is done.
    StepDone,
    /// The step of its state cannot be done.
    Failed,
    /// Its app leaves.
    Cancelled,
    /// A newer one took its place.
    Superseded,
    /// What it would build is there, as it was before it was released.
    NothingToBuild,
    /// A machine that was ready is there: it is started as it is.
    NothingToRelease,
    /// The server that worked on it is gone.
    Interrupted,
}

/// What follows `event`; `None` where it changes nothing. The only place that knows.
pub(crate) fn next(status: DeploymentStatus, event: Event) -> Option<DeploymentStatus> {
    if status.is_end() {
        return None;
    }
    match event {
        Event::StepDone => Some(match status {
            Queued => Fetching,
            Fetching => Detecting,
            Detecting => Installing,
            Installing => Building,
            Building => Releasing,
            Releasing => Starting,
            Starting => Checking,
            Checking | Live | Failed | Cancelled | Superseded => Live,
        }),
        Event::Failed => Some(Failed),
        Event::Cancelled => Some(Cancelled),
        Event::Superseded => Some(Superseded),
        Event::NothingToBuild => {
            matches!(status, Queued | Fetching | Detecting).then_some(Releasing)
        }
        Event::NothingToRelease => {
            matches!(status, Queued | Fetching | Detecting).then_some(Starting)
        }
        Event::Interrupted => (status != Queued).then_some(Queued),
    }
}

/// The row after `event`; `None` where it changes nothing.
pub(crate) fn advance(row: &DeploymentRow, event: Event, now: Timestamp) -> Option<DeploymentRow> {
    let status = next(row.status, event)?;
    let mut row = row.clone();
    if event == Event::Interrupted {
        row.attempt += 1;
        row.sandbox = None;
        row.plan = None;
        row.snapshot = None;
        row.history.clear();
    }
    row.status = status;
    row.history.push(Entered { status, at_ms: now });
    row.finished = status.is_end().then_some(now);
    Some(row)
}

/// How long it was in each state it has left.
pub(crate) fn phases(row: &DeploymentRow) -> Vec<Phase> {
    let spans = row.history.iter().zip(row.history.iter().skip(1));
    spans
        .map(|(entered, left)| {
            let span = left.at_ms.since(entered.at_ms).as_millis();
            let duration_ms = u64::try_from(span).unwrap_or(u64::MAX);
            Phase { status: entered.status, duration_ms }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pando_types::{AppId, DeploymentId, OrgId};
    use proptest::prelude::*;

    use super::*;

    fn row() -> DeploymentRow {
        let now = Timestamp::from_millis(0);
        DeploymentRow {
            id: DeploymentId::new(),
            org: OrgId::new(),
            app: AppId::new(),
            status: Queued,
            commit: String::new(),
            git_ref: "main".into(),
            reason: "push".into(),
            sandbox: None,
            error: None,
            plan: None,
            history: vec![Entered { status: Queued, at_ms: now }],
            attempt: 1,
            created: now,
            finished: None,
            origin: None,
            settings_hash: None,
            snapshot: None,
            is_fresh: false,
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            8 => Just(Event::StepDone),
            1 => Just(Event::Failed),
            1 => Just(Event::Cancelled),
            1 => Just(Event::Superseded),
            1 => Just(Event::NothingToBuild),
            1 => Just(Event::NothingToRelease),
            2 => Just(Event::Interrupted),
        ]
    }

    fn rank(status: DeploymentStatus) -> usize {
        let order =
            [Queued, Fetching, Detecting, Installing, Building, Releasing, Starting, Checking];
        order.iter().position(|known| *known == status).unwrap_or(order.len())
    }

    proptest! {
        #[test]
        fn it_moves_forward_only_and_ends_are_final(events in proptest::collection::vec(event(), 0..40)) {
            let mut row = row();
            for (at, event) in events.into_iter().enumerate() {
                let now = Timestamp::from_millis(i64::try_from(at).unwrap() + 1);
                let Some(next) = advance(&row, event, now) else {
                    let may_not =
                        matches!(
                            event,
                            Event::Interrupted | Event::NothingToBuild | Event::NothingToRelease
                        );
                    prop_assert!(row.status.is_end() || may_not);
                    continue;
                };
                prop_assert!(!row.status.is_end());
                if event == Event::Interrupted {
                    prop_assert_eq!((next.status, next.attempt), (Queued, row.attempt + 1));
                } else {
                    prop_assert!(rank(next.status) > rank(row.status));
                    prop_assert_eq!(next.attempt, row.attempt);
                }
                prop_assert_eq!(next.finished.is_some(), next.status.is_end());
                prop_assert_eq!(next.history.last().unwrap().status, next.status);
                prop_assert_eq!(phases(&next).len() + 1, next.history.len());
                row = next;
            }
        }
    }

    #[test]
    fn eight_steps_lead_to_live() {
        let mut row = row();
        for step in 1..=8 {
            assert!(!row.status.is_end());
            row = advance(&row, Event::StepDone, Timestamp::from_millis(step * 10)).unwrap();
        }
        assert_eq!(row.status, Live);
        assert!(phases(&row).iter().all(|phase| phase.duration_ms == 10));
    }
}
