//! What a deployment begins with: pure.
//!
//! | because of | begins with the first of these that is there |
//! | --- | --- |
//! | a rollback, a machine that died | the machine that was kept, the disk that was built, the commit |
//! | a restart | the disk that was built, the commit |
//! | a commit that is live already, with the same settings | the machine that was kept, the commit |
//! | anything else | the commit |

use pando_store::DeploymentRow;
use pando_types::{DeploymentId, SnapshotId};

use super::reason::Reason;

/// What a deployment may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// The machine that was kept of a deployment when it was ready.
    Ready { of: DeploymentId, snapshot: SnapshotId },
    /// The disk that a deployment was built on: its processes start anew.
    Built { of: DeploymentId },
}

/// What a deployment begins with that brings the first of `chain` back, in the order to try;
/// its commit is built anew after all of them. The others are what that one brought back
/// itself, down to the one that was built.
pub(crate) fn of_origin(reason: &str, chain: &[DeploymentRow]) -> Vec<Beginning> {
    let ready = chain.first().and_then(|origin| {
        origin.snapshot.map(|snapshot| Beginning::Ready { of: origin.id, snapshot })
    });
    let ready = ready.filter(|_| reason != Reason::Restart.as_str());
    let built = chain.iter().map(|row| Beginning::Built { of: row.id });
    ready.into_iter().chain(built).collect()
}

/// The machine of a deployment that was live before with the same commit and settings.
pub(crate) fn of_the_same(row: &DeploymentRow, live: &[DeploymentRow]) -> Option<Beginning> {
    let wanted = row.settings_hash.as_ref().filter(|_| !row.is_fresh)?;
    let same = |other: &&DeploymentRow| {
        other.commit == row.commit && other.settings_hash.as_ref() == Some(wanted)
    };
    live.iter().filter(same).find_map(|other| {
        other.snapshot.map(|snapshot| Beginning::Ready { of: other.id, snapshot })
    })
}

/// The deployment that a rollback leads to: of those that were live, newest first, what was so
/// before `active`. What was brought back counts as what it was the first time: so rolling back
/// twice goes two back, and what was rolled back from is not come to again.
pub(crate) fn before<'a>(
    live: &'a [DeploymentRow],
    active: &'a DeploymentRow,
) -> Option<&'a DeploymentRow> {
    let now = first_time(live, active)?;
    let earlier = live.iter().find(|row| row.id < now.id)?;
    first_time(live, earlier)
}

/// The deployment that `row` is another time; none where that is too long ago.
fn first_time<'a>(
    live: &'a [DeploymentRow],
    mut row: &'a DeploymentRow,
) -> Option<&'a DeploymentRow> {
    while is_brought_back(row) {
        row = live.iter().find(|other| Some(other.id) == row.origin && other.id < row.id)?;
    }
    Some(row)
}

/// Whether it is another one again, as it was.
fn is_brought_back(row: &DeploymentRow) -> bool {
    let again = [Reason::Rollback.as_str(), Reason::Revival.as_str()];
    row.origin.is_some() && again.contains(&row.reason.as_str())
}

#[cfg(test)]
mod tests {
    use pando_store::Entered;
    use pando_types::app::DeploymentStatus;
    use pando_types::{AppId, OrgId, Timestamp};

    use super::*;

    fn row(commit: &str) -> DeploymentRow {
        let now = Timestamp::from_millis(0);
        DeploymentRow {
            id: DeploymentId::new(),
            org: OrgId::new(),
            app: AppId::new(),
            status: DeploymentStatus::Live,
            commit: commit.into(),
            git_ref: "main".into(),
            reason: "push".into(),
            sandbox: None,
            error: None,
            plan: None,
            history: vec![Entered { status: DeploymentStatus::Queued, at_ms: now }],
            attempt: 1,
            created: now,
            finished: Some(now),
            origin: None,
            settings_hash: Some("settings".into()),
            snapshot: Some(SnapshotId::new()),
            is_fresh: false,
        }
    }

    #[test]
    fn rolling_back_twice_goes_two_back() {
        let mut rows: Vec<_> = ["a", "b", "c"].map(row).into();
        let mut history = Vec::new();
        for _ in 0..3 {
            let newest_first: Vec<_> = rows.iter().rev().cloned().collect();
            let Some(target) = before(&newest_first, &newest_first[0]) else { break };
            history.push(target.commit.clone());
            rows.push(DeploymentRow {
                origin: Some(target.id),
                reason: "rollback".into(),
                ..row(&target.commit)
            });
        }
        assert_eq!(history, ["b", "a"]);
    }

    #[test]
    fn what_was_rolled_back_from_is_not_come_to_again() {
        let (first, bad) = (row("a"), row("b"));
        let back = DeploymentRow { origin: Some(first.id), reason: "rollback".into(), ..row("a") };
        let newest_first = [row("c"), back, bad, first.clone()];
        assert_eq!(before(&newest_first, &newest_first[0]).unwrap().id, first.id);
    }

    #[test]
    fn a_restart_is_gone_back_to_and_a_revival_is_not() {
        let first = row("a");
        let again = |of: &DeploymentRow, reason: &str| DeploymentRow {
            origin: Some(of.id),
            reason: reason.into(),
            ..row(&of.commit)
        };
        let restart = again(&first, "restart");
        let revival = again(&restart, "revival");
        let last = row("b");
        let newest_first = [last, revival, restart.clone(), first.clone()];
        assert_eq!(before(&newest_first, &newest_first[0]).unwrap().id, restart.id);
        assert_eq!(before(&newest_first, &newest_first[1]).unwrap().id, first.id);
        assert_eq!(before(&newest_first, &newest_first[3]), None);
    }

    #[test]
    fn a_restart_starts_anew() {
        let root = row("a");
        let origin = DeploymentRow { origin: Some(root.id), ..row("a") };
        let ready = Beginning::Ready { of: origin.id, snapshot: origin.snapshot.unwrap() };
        let built = [origin.id, root.id].map(|of| Beginning::Built { of });
        let chain = [origin.clone(), root.clone()];
        assert_eq!(of_origin("rollback", &chain), [ready, built[0], built[1]]);
        assert_eq!(of_origin("revival", &chain), [ready, built[0], built[1]]);
        assert_eq!(of_origin("restart", &chain), built);
        let chain = [DeploymentRow { snapshot: None, ..origin }, root];
        assert_eq!(of_origin("rollback", &chain), built);
        assert!(of_origin("rollback", &[]).is_empty());
    }

    #[test]
    fn only_the_same_is_not_built_again() {
        let live = [row("a"), row("b")];
        let wanted = |change: fn(&mut DeploymentRow)| {
            let mut wanted = row("b");
            change(&mut wanted);
            of_the_same(&wanted, &live)
        };
        let snapshot = live[1].snapshot.unwrap();
        assert_eq!(wanted(|_| {}), Some(Beginning::Ready { of: live[1].id, snapshot }));
        assert_eq!(wanted(|row| row.commit = "c".into()), None);
        assert_eq!(wanted(|row| row.settings_hash = Some("other".into())), None);
        assert_eq!(wanted(|row| row.settings_hash = None), None);
        assert_eq!(wanted(|row| row.is_fresh = true), None);
    }
}
