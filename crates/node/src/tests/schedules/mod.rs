//! Schedules on null machines: the rows are real, the clock a test sets, and the agents are
//! one, that notes what it is told to run.

mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use pando_store::{RunningRow, Swap};
use pando_types::limits::MAX_SCHEDULES;
use pando_types::schedule::ChangeSchedule;
use pando_types::{Clock, Code, OrgId};

pub(super) use self::world::World;
use self::world::{ENDLESS, at};
use super::name;
use crate::State;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn what_is_due_wakes_its_sandbox_and_is_run_once() {
    World::run(async |world| {
        let id = world.asleep().await;
        let schedule = world.add(id, "*/5 * * * *", "job").await;
        let waits = world.seen(schedule).await.next_due_at;
        assert_eq!(waits, Some(at(5 * MINUTE).to_rfc3339()));
        world.now_is(at(4 * MINUTE));
        assert_eq!((world.state(id), world.heard().len()), (Some(State::Hibernated), 0));

        let now = at(5 * MINUTE + Duration::from_secs(1));
        world.now_is(now);
        let seen = world.until_run(schedule, at(5 * MINUTE)).await;
        assert_eq!(world.state(id), Some(State::Running));
        let run = seen.last_run.unwrap();
        assert_eq!((run.exit_code, run.error, run.output.as_str()), (Some(3), None, "said job"));
        assert_eq!(run.started_at, now.to_rfc3339());
        assert_eq!(seen.next_due_at, Some(at(10 * MINUTE).to_rfc3339()));
        assert_eq!((seen.running_since, seen.last_miss), (None, None));

        // Looked at again, and of days without a server: one run, of the last time.
        world.now_is(now);
        world.stop().await;
        world.clock.0.store(at(50 * HOUR).as_millis(), Ordering::SeqCst);
        world.serve().await;
        world.until_run(schedule, at(50 * HOUR)).await;
        assert_eq!(world.heard(), ["job", "job"]);
    });
}

#[test]
fn without_room_it_is_tried_again_until_it_is_too_late() {
    World::run(async |world| {
        let id = world.asleep().await;
        let schedule = world.add(id, "0 3 * * *", "job").await;
        world.machines.refuse_restores(true);
        world.now_is(at(3 * HOUR));
        let reason = world.until_missed(schedule, at(3 * HOUR)).await;
        assert!(reason.contains("could not be woken"), "{reason}");
        let seen = world.until(schedule, |seen| seen.running_since.is_none()).await;
        assert_eq!(seen.next_due_at, Some(at(3 * HOUR).to_rfc3339()));
        world.machines.refuse_restores(false);
        world.now_is(at(3 * HOUR + Duration::from_secs(31)));
        let seen = world.until_run(schedule, at(3 * HOUR)).await;
        assert_eq!(seen.next_due_at, Some(at(27 * HOUR).to_rfc3339()));

        world.sandboxes().hibernate(world.org, id).await.unwrap();
        world.machines.refuse_restores(true);
        world.now_is(at(27 * HOUR));
        world.until_missed(schedule, at(27 * HOUR)).await;
        world.until(schedule, |seen| seen.running_since.is_none()).await;
        world.machines.refuse_restores(false);
        world.now_is(at(28 * HOUR + Duration::from_secs(1)));
        let next = Some(at(51 * HOUR).to_rfc3339());
        let seen = world.until(schedule, |seen| seen.next_due_at == next).await;
        assert!(seen.last_miss.unwrap().reason.contains("within 60 minutes"));
        assert_eq!((world.heard().len(), world.state(id)), (1, Some(State::Hibernated)));
    });
}

#[test]
fn what_is_paused_or_has_failed_is_left_as_it_is() {
    World::run(async |world| {
        let (paused, failed) = (world.sandbox().await, world.sandbox().await);
        world.sandboxes().pause(world.org, paused).await.unwrap();
        assert!(world.machines.crash(&name(world.folder.path(), failed)));
        while world.state(failed) == Some(State::Running) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for (id, word) in [(paused, "paused"), (failed, "failed")] {
            let now = world.clock.now();
            let schedule = world.add(id, "0 * * * *", "job").await;
            let due = now.plus(HOUR);
            world.now_is(due);
            let reason = world.until_missed(schedule, due).await;
            assert_eq!(reason, format!("the sandbox is {word}"));
            let seen = world.until(schedule, |seen| seen.running_since.is_none()).await;
            assert_eq!(seen.next_due_at, Some(due.plus(HOUR).to_rfc3339()));
            assert!(world.sandboxes().schedule_delete(world.org, id, schedule).await.is_ok());
        }
        assert_eq!(world.state(paused), Some(State::Paused));
        assert!(matches!(world.state(failed), Some(State::Failed { .. })));
        assert!(world.heard().is_empty());
    });
}

#[test]
fn what_comes_while_it_runs_is_left_out_and_a_server_that_ends_repeats_nothing() {
    World::run(async |world| {
        let id = world.asleep().await;
        let schedule = world.add(id, "*/10 * * * *", ENDLESS).await;
        world.now_is(at(10 * MINUTE));
        while world.heard().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        world.now_is(at(20 * MINUTE));
        let reason = world.until_missed(schedule, at(20 * MINUTE)).await;
        assert!(reason.contains("going on"), "{reason}");

        // It runs on while it is paused, and tells of its end.
        let change = ChangeSchedule { paused: true };
        let changed = world.sandboxes().schedule_change(world.org, id, schedule, &change).await;
        let changed = changed.unwrap();
        assert!(changed.running_since.is_some() && changed.next_due_at.is_none());
        world.agent.ends.store(true, Ordering::SeqCst);
        world.until_run(schedule, at(10 * MINUTE)).await;
        world.now_is(at(2 * HOUR));
        let change = ChangeSchedule { paused: false };
        let changed = world.sandboxes().schedule_change(world.org, id, schedule, &change).await;
        assert_eq!(changed.unwrap().next_due_at, Some(at(2 * HOUR + 10 * MINUTE).to_rfc3339()));

        // Stopped amid a run.
        world.agent.ends.store(false, Ordering::SeqCst);
        world.now_is(at(2 * HOUR + 10 * MINUTE));
        while world.heard().len() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        world.stop().await;
        world.serve().await;
        let seen = world.until_run(schedule, at(2 * HOUR + 10 * MINUTE)).await;
        let run = seen.last_run.unwrap();
        assert_eq!(run.exit_code, None);
        assert!(run.error.unwrap().contains("the server ended"));

        // Killed between the row and the wake.
        world.stop().await;
        let (seen, due) = (at(2 * HOUR + 20 * MINUTE), at(2 * HOUR + 20 * MINUTE));
        let run = RunningRow { node: world.node_id, due, started: due };
        let next = Some(at(2 * HOUR + 30 * MINUTE));
        let begun = world.store.schedule_begin(schedule, seen, run, next).await.unwrap();
        assert_eq!(begun, Swap::Done);
        world.clock.0.store(due.as_millis(), Ordering::SeqCst);
        world.serve().await;
        let run = world.until_run(schedule, due).await.last_run.unwrap();
        assert!(run.error.unwrap().contains("the server ended"));
        assert_eq!(world.heard(), [ENDLESS, ENDLESS]);
    });
}

#[test]
fn they_are_their_owners_alone_few_and_gone_with_the_sandbox() {
    World::run(async |world| {
        let (id, other) = (world.sandbox().await, world.sandbox().await);
        let schedule = world.add(id, "0 3 * * *", "job").await;
        for number in 1..MAX_SCHEDULES {
            world.add(id, &format!("{number} 3 * * *"), "job").await;
        }
        assert_eq!(world.try_add(id, "0 3 * * *", "job").await.unwrap_err().code, Code::OverQuota);
        let list = world.sandboxes().schedule_list(world.org, id).await.unwrap();
        assert_eq!(list.items.len(), 8);
        assert!(world.sandboxes().schedule_list(world.org, other).await.unwrap().items.is_empty());

        let stranger = OrgId::new();
        let change = ChangeSchedule { paused: true };
        for (org, sandbox) in [(stranger, id), (world.org, other)] {
            let all = world.sandboxes();
            let refusals = [
                all.schedule_get(org, sandbox, schedule).await.unwrap_err(),
                all.schedule_change(org, sandbox, schedule, &change).await.unwrap_err(),
                all.schedule_delete(org, sandbox, schedule).await.unwrap_err(),
            ];
            assert!(refusals.iter().all(|refusal| refusal.code == Code::NotFound));
        }
        let made = world.sandboxes().schedule_made(stranger, schedule).await.unwrap();
        assert!(made.is_none());
        let list = world.sandboxes().schedule_list(stranger, id).await;
        assert_eq!(list.unwrap_err().code, Code::NotFound);

        world.sandboxes().delete(world.org, id).await.unwrap();
        assert!(world.store.schedule_list(id).await.unwrap().is_empty());
        assert_eq!(world.store.schedule_next_look().await.unwrap(), None);
        assert_eq!(world.try_add(id, "0 3 * * *", "job").await.unwrap_err().code, Code::NotFound);
    });
}

#[test]
fn an_org_has_so_many_runs_at_once_and_the_others_wait() {
    World::run(async |world| {
        let mut schedules = Vec::new();
        for _ in 0..5 {
            let id = world.sandbox().await;
            for _ in 0..7 {
                schedules.push(world.add(id, "0 * * * *", ENDLESS).await);
            }
        }
        world.now_is(at(HOUR));
        while world.heard().len() < 32 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // The others were looked at, and have nothing to say for themselves.
        while world.store.schedule_next_look().await.unwrap() <= Some(at(HOUR)) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut waiting = 0;
        for schedule in &schedules {
            let seen = world.seen(*schedule).await;
            let waits = seen.running_since.is_none();
            waiting += u32::from(waits);
            assert_eq!(waits, seen.next_due_at == Some(at(HOUR).to_rfc3339()));
        }
        assert_eq!((world.heard().len(), waiting), (32, 3));

        world.agent.ends.store(true, Ordering::SeqCst);
        for schedule in &schedules {
            world.until(*schedule, |seen| seen.running_since.is_none()).await;
        }
        world.now_is(at(HOUR + Duration::from_secs(31)));
        for schedule in schedules {
            world.until_run(schedule, at(HOUR)).await;
        }
        assert_eq!(world.heard().len(), 35);
    });
}
