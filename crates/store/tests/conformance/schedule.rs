use std::time::Duration;

use pando_store::{Actual, MissRow, RunEnd, RunRow, RunningRow, ScheduleRow, Swap};
use pando_types::{NodeId, SandboxId, ScheduleId, Timestamp};

use crate::support::World;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

async fn add(world: &World, sandbox: SandboxId, next_due: Option<i64>) -> ScheduleRow {
    world.pass(Duration::from_millis(1));
    let row = ScheduleRow {
        id: ScheduleId::new(),
        sandbox,
        org: world.org,
        cron: "0 3 * * *".into(),
        command: "echo \u{1f333}\n\"x\"".into(),
        timeout: Duration::from_secs(600),
        paused: next_due.is_none(),
        next_due: next_due.map(at),
        run: None,
        last: None,
        miss: None,
        created: world.store.now(),
    };
    let mut tx = world.store.begin().await.unwrap();
    tx.schedule_insert(&row).await.unwrap();
    tx.commit().await.unwrap();
    row
}

async fn sandbox(world: &World) -> SandboxId {
    let row = world.sandbox(NodeId::new());
    let _ = world.add_sandbox(&row).await;
    row.id
}

async fn get(world: &World, row: &ScheduleRow) -> ScheduleRow {
    world.store.schedule_get(row.id).await.unwrap().unwrap()
}

async fn due(world: &World, now: i64, limit: u32) -> Vec<ScheduleId> {
    let rows = world.store.schedule_due(at(now), limit).await.unwrap();
    rows.iter().map(|row| row.id).collect()
}

fn running(node: NodeId, due: i64, started: i64) -> RunningRow {
    RunningRow { node, due: at(due), started: at(started) }
}

#[tokio::test]
async fn those_that_are_due_come_in_order_and_nobody_else() {
    let world = World::new().await;
    let (one, two) = (sandbox(&world).await, sandbox(&world).await);
    assert_eq!(world.store.schedule_next_look().await.unwrap(), None);
    let late = add(&world, one, Some(300)).await;
    let early = add(&world, two, Some(100)).await;
    let paused = add(&world, one, None).await;
    assert_eq!(get(&world, &late).await, late);
    assert_eq!(world.store.schedule_list(one).await.unwrap(), [late.clone(), paused.clone()]);
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.schedule_count(one).await.unwrap(), 2);
    drop(tx);
    assert!(due(&world, 99, 9).await.is_empty());
    assert_eq!(due(&world, 100, 9).await, [early.id]);
    assert_eq!(due(&world, 999, 9).await, [early.id, late.id]);
    assert_eq!(due(&world, 999, 1).await, [early.id]);
    assert_eq!(world.store.schedule_next_look().await.unwrap(), Some(at(100)));

    let paused_now = world.store.schedule_set_paused(early.id, true, None).await.unwrap();
    assert_eq!((paused_now, due(&world, 999, 9).await), (Swap::Done, vec![late.id]));
    let goes_on = world.store.schedule_set_paused(paused.id, false, Some(at(200))).await.unwrap();
    assert_eq!((goes_on, due(&world, 999, 9).await), (Swap::Done, vec![paused.id, late.id]));
    assert!(world.store.schedule_delete(late.id).await.unwrap());
    assert!(!world.store.schedule_delete(late.id).await.unwrap());
    let nobody = world.store.schedule_set_paused(late.id, true, None).await.unwrap();
    assert_eq!(nobody, Swap::Missing);
}

#[tokio::test]
async fn a_due_time_is_taken_once_and_a_run_ends_once() {
    let world = World::new().await;
    let (store, node) = (&world.store, NodeId::new());
    let row = add(&world, sandbox(&world).await, Some(100)).await;
    let run = running(node, 100, 105);
    for expected in [Swap::Done, Swap::Stale] {
        let begun = store.schedule_begin(row.id, at(100), run, Some(at(200))).await.unwrap();
        assert_eq!(begun, expected);
    }
    let now = get(&world, &row).await;
    assert_eq!((now.run, now.next_due), (Some(run), Some(at(200))));
    // It comes again, and is not begun while it runs.
    assert_eq!(due(&world, 200, 9).await, [row.id]);
    let second = running(node, 200, 200);
    let begun = store.schedule_begin(row.id, at(200), second, Some(at(300))).await.unwrap();
    assert_eq!(begun, Swap::Stale);
    let skipped = store.schedule_skip(row.id, at(200), at(200), "it runs", Some(at(300))).await;
    assert_eq!(skipped.unwrap(), Swap::Done);

    let end = RunEnd { exit_code: Some(3), error: None, output: "x\n".into() };
    assert_eq!(store.schedule_end(row.id, second, at(250), &end).await.unwrap(), Swap::Stale);
    assert_eq!(store.schedule_end(row.id, run, at(250), &end).await.unwrap(), Swap::Done);
    assert_eq!(store.schedule_end(row.id, run, at(251), &end).await.unwrap(), Swap::Stale);
    let now = get(&world, &row).await;
    let last = RunRow { due: at(100), started: at(105), ended: at(250), end };
    let miss = MissRow { due: at(200), reason: "it runs".into() };
    assert_eq!((now.run, now.last, now.miss), (None, Some(last), Some(miss)));
    assert_eq!(now.next_due, Some(at(300)));

    let put_off = store.schedule_put_off(row.id, at(300), at(330)).await.unwrap();
    assert_eq!((put_off, due(&world, 329, 9).await), (Swap::Done, vec![]));
    assert_eq!(store.schedule_put_off(row.id, at(100), at(1)).await.unwrap(), Swap::Stale);
    assert_eq!(
        (due(&world, 330, 9).await, get(&world, &row).await.next_due),
        (vec![row.id], Some(at(300)))
    );
}

#[tokio::test]
async fn a_run_that_was_refused_waits_for_the_same_time_again() {
    let world = World::new().await;
    let (store, node) = (&world.store, NodeId::new());
    let row = add(&world, sandbox(&world).await, Some(100)).await;
    let run = running(node, 100, 100);
    let begin = async || store.schedule_begin(row.id, at(100), run, Some(at(200))).await.unwrap();
    assert_eq!(begin().await, Swap::Done);
    let back = store.schedule_take_back(row.id, run, "no room", Some(at(130))).await.unwrap();
    assert_eq!(back, Swap::Done);
    let now = get(&world, &row).await;
    let miss = Some(MissRow { due: at(100), reason: "no room".into() });
    assert_eq!((now.run, now.next_due, now.miss), (None, Some(at(100)), miss));
    assert!(due(&world, 129, 9).await.is_empty());
    assert_eq!(due(&world, 130, 9).await, [row.id]);
    // Not to be tried again.
    assert_eq!(begin().await, Swap::Done);
    assert_eq!(store.schedule_take_back(row.id, run, "paused", None).await.unwrap(), Swap::Done);
    assert_eq!(get(&world, &row).await.next_due, Some(at(200)));
    // Paused while it was on its way in.
    let third = running(node, 200, 200);
    let begun = store.schedule_begin(row.id, at(200), third, Some(at(300))).await.unwrap();
    assert_eq!(begun, Swap::Done);
    assert_eq!(store.schedule_set_paused(row.id, true, None).await.unwrap(), Swap::Done);
    let back = store.schedule_take_back(row.id, third, "no room", Some(at(230))).await.unwrap();
    assert_eq!(back, Swap::Done);
    let now = get(&world, &row).await;
    assert_eq!((now.run, now.next_due, now.paused), (None, None, true));
    assert!(due(&world, 9999, 9).await.is_empty());
}

#[tokio::test]
async fn the_runs_of_a_server_that_is_gone_are_ended_and_no_others() {
    let world = World::new().await;
    let (mine, theirs) = (NodeId::new(), NodeId::new());
    let one = sandbox(&world).await;
    let (left, other) = (add(&world, one, Some(100)).await, add(&world, one, Some(100)).await);
    for (row, node) in [(&left, mine), (&other, theirs)] {
        let run = running(node, 100, 101);
        let begun = world.store.schedule_begin(row.id, at(100), run, None).await.unwrap();
        assert_eq!(begun, Swap::Done);
    }
    assert_eq!(world.store.schedule_end_open(mine, "gone").await.unwrap(), 1);
    let last = get(&world, &left).await.last.unwrap();
    let end = RunEnd { exit_code: None, error: Some("gone".into()), output: String::new() };
    assert_eq!((last.due, last.started, last.end), (at(100), at(101), end));
    assert!(get(&world, &other).await.run.is_some());
}

#[tokio::test]
async fn they_go_with_their_sandbox() {
    let world = World::new().await;
    let kept = sandbox(&world).await;
    let row = world.sandbox(NodeId::new());
    let _ = world.add_sandbox(&row).await;
    let (gone, stays) = (add(&world, row.id, Some(100)).await, add(&world, kept, Some(100)).await);
    assert_eq!(world.report(&row, Actual::Failed, 1, None).await, Swap::Done);
    assert_eq!(get(&world, &gone).await, gone);
    assert_eq!(world.report(&row, Actual::Deleted, 2, None).await, Swap::Done);
    assert_eq!(world.store.schedule_get(gone.id).await.unwrap(), None);
    assert_eq!(due(&world, 999, 9).await, [stays.id]);
}
