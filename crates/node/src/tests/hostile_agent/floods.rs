//! Agents that send more than anybody wants.

use std::time::Duration;

use futures_util::StreamExt;
use pando_guest_protocol::frame::{Kind, MAX_PAYLOAD_BYTES};
use pando_guest_protocol::session::ExecDone;
use pando_types::limits::{HELD_BY_REQUEST_BYTES, MAX_HELD_BYTES};
use pando_types::{Code, OrgId, PublicError};

use super::memory::Mark;
use super::say::Say;
use super::sessions::frame;
use super::world::{World, alive_tasks, exec, run, until_tasks};
use crate::guest::{ExecEvent, ExecInput, GuestError};

/// What the host may hold of one command's output while nobody takes it.
const MEMORY_BYTES: usize = 8 << 20;
/// Far beyond what the host and both kernels together hold of one connection.
const FLOOD_BYTES: usize = 64 << 20;

fn flood(kind: Kind) -> Vec<u8> {
    frame(kind, &vec![b'y'; MAX_PAYLOAD_BYTES])
}

#[test]
fn a_slow_reader_of_a_flood_makes_the_guest_wait() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        world.agents.says(id, Say::Forever(Vec::new(), flood(Kind::Stdout)));
        let tasks = alive_tasks();
        let mark = Mark::now();
        let mut events = guest.exec_stream(exec("yes"), ExecInput::Empty).await.unwrap();
        for _ in 0..20 {
            // Others are served while the flood waits.
            world.friend_answers().await;
        }
        for _ in 0..4 {
            assert!(matches!(events.next().await, Some(Ok(ExecEvent::Stdout(_)))));
        }
        world.friend_answers().await;
        drop(events);
        until_tasks(tasks).await;
        let taken = world.agents.taken_bytes();
        assert!(taken < FLOOD_BYTES as u64, "{taken} bytes were taken, and nobody read them");
        assert!(mark.peak_bytes() <= MEMORY_BYTES, "{} bytes", mark.peak_bytes());
    });
}

#[test]
fn of_a_flood_the_limit_is_kept_and_the_rest_is_dropped() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        let done = ExecDone { exit_code: 3, timed_out: false, duration_ms: 1 };
        let mut said = [flood(Kind::Stdout), flood(Kind::Stderr)]
            .concat()
            .repeat(FLOOD_BYTES / MAX_PAYLOAD_BYTES / 2);
        said.extend(frame(Kind::Reply, &serde_json::to_vec(&done).unwrap()));
        world.agents.says(id, Say::Once(said));
        let mark = Mark::now();
        let kept = 1 << 20;
        let finished = run(&guest, exec("yes"), ExecInput::Empty, kept).await.unwrap();
        assert_eq!((finished.stdout.len(), finished.stderr.len()), (kept, kept));
        assert!(finished.truncated);
        assert_eq!(finished.done, done);
        // Twice what is kept, since a growing vector doubles, and the frames on their
        // way; the guest here holds its flood once more while it says it.
        let held = mark.peak_bytes().saturating_sub(FLOOD_BYTES);
        assert!(held <= MEMORY_BYTES, "{held} bytes");
    });
}

#[test]
fn a_flood_without_end_ends_at_the_time_limit() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        world.agents.says(id, Say::Forever(Vec::new(), flood(Kind::Stderr)));
        let work = async move { run(&guest, exec("yes"), ExecInput::Empty, 1000).await };
        let outcome = world.outlast_session(work).await;
        assert!(matches!(outcome.said, Err(GuestError::Timeout(_))), "{:?}", outcome.said);
        assert!(outcome.took <= Duration::from_secs(60), "{:?}", outcome.took);
        assert!(outcome.peak_bytes <= MEMORY_BYTES, "{} bytes", outcome.peak_bytes);
    });
}

#[test]
fn many_floods_at_once_leave_the_neighbour_alone() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        world.agents.says(id, Say::Forever(Vec::new(), flood(Kind::Stdout)));
        let tasks = alive_tasks();
        let mark = Mark::now();
        let mut held = Vec::new();
        for _ in 0..16 {
            held.push(guest.exec_stream(exec("yes"), ExecInput::Empty).await.unwrap());
            world.friend_answers().await;
        }
        let streams = held.len();
        drop(held);
        until_tasks(tasks).await;
        // Each guest here holds its flood twice while it says it.
        let each = (mark.peak_bytes() / streams).saturating_sub(2 * flood(Kind::Stdout).len());
        assert!(each <= HELD_BY_REQUEST_BYTES, "{each} bytes each");
    });
}

#[test]
fn floods_that_find_no_room_are_refused_and_ended_and_others_go_on() {
    World::run(async |world| {
        let (id, _) = world.sandbox().await;
        world.agents.says(id, Say::Forever(Vec::new(), flood(Kind::Stdout)));
        // All that an org may take alone, but for a little.
        let (org, left) = (Some(OrgId::new()), 4 << 20);
        let budget = world.node().budget().clone();
        let hog = budget.account(org).take(MAX_HELD_BYTES / 2 - left).unwrap();
        let (tasks, mark) = (alive_tasks(), Mark::now());
        let guest = world.node().guest(id, org).unwrap();
        let floods = (0..8).map(|_| {
            let guest = guest.clone();
            tokio::spawn(async move { run(&guest, exec("yes"), ExecInput::Empty, 8 << 20).await })
        });
        for flood in floods.collect::<Vec<_>>() {
            world.friend_answers().await;
            let error = flood.await.unwrap().unwrap_err();
            assert!(matches!(error, GuestError::NoRoom(_)), "{error:?}");
            let refusal = PublicError::from(&error);
            assert_eq!((refusal.code, refusal.retry_after_secs), (Code::Unavailable, Some(5)));
        }
        // The commands are ended, and nothing is counted any more.
        until_tasks(tasks).await;
        assert_eq!(budget.taken_bytes(), hog.bytes());
        assert!(mark.peak_bytes() <= left + MEMORY_BYTES, "{} bytes", mark.peak_bytes());
    });
}
