//! Going to sleep and waking: alone, by many at once, and when it fails.

use std::time::Duration;

use futures_util::future::join_all;
use pando_types::{Epoch, SandboxId, SystemClock};

use super::{World, crash};
use crate::{Life, NodeError, State};

const EPOCH: Epoch = Epoch::first();

impl World {
    /// A sandbox that sleeps, with this in memory and on its disk.
    pub(super) async fn sleeper(&self, text: &str, persistent: bool) -> SandboxId {
        let id = self.create(None, persistent).await;
        self.write(id, text);
        self.node.hibernate(id, EPOCH).await.unwrap();
        id
    }

    fn files(&self, id: SandboxId) -> Vec<String> {
        super::names(&self.dir(id))
    }
}

const AWAKE: [&str; 3] = ["manifest.json", "memory", "root.raw"];
const ASLEEP: [&str; 2] = ["asleep", "manifest.json"];

#[tokio::test]
async fn what_slept_goes_on_from_where_it_was() {
    let world = World::start().await;
    let id = world.sleeper("one", false).await;
    assert_eq!((world.state(id), world.machines.count()), (Some(State::Hibernated), 0));
    assert_eq!(world.files(id), ASLEEP);
    world.node.hibernate(id, EPOCH).await.unwrap();
    assert!(matches!(world.node.pause(id, EPOCH).await, Err(NodeError::Denied(_))));
    assert!(matches!(world.node.guest(id, None), Err(NodeError::NotRunning(State::Hibernated))));

    for round in 0..3 {
        world.node.wake(id, EPOCH).await.unwrap();
        world.node.wake(id, EPOCH).await.unwrap();
        assert_eq!(world.state(id), Some(State::Running));
        let expected = if round == 0 { "one".to_owned() } else { format!("round {}", round - 1) };
        assert_eq!((world.memory(id), world.disk(id)), (expected.clone(), expected));
        assert_eq!(world.files(id), AWAKE);
        world.write(id, &format!("round {round}"));
        world.node.hibernate(id, EPOCH).await.unwrap();
    }
    world.node.resume(id, EPOCH).await.unwrap();
    assert_eq!((world.state(id), world.memory(id)), (Some(State::Running), "round 2".to_owned()));
    assert_eq!(world.machines.runs(&world.name(id)), Some(true));
    world.finish().await;
}

#[tokio::test]
async fn a_hundred_who_come_at_once_wake_it_once() {
    let world = World::start().await;
    let id = world.sleeper("one", false).await;
    let before = world.machines.restores();
    let wakes = join_all((0..100).map(|_| world.node.access(id, None))).await;
    assert!(wakes.iter().all(Result::is_ok));
    assert_eq!((world.machines.restores(), world.machines.count()), (before + 1, 1));
    // What was had before it slept is of no use after it.
    let guest = wakes.into_iter().next().unwrap().unwrap();
    world.node.hibernate(id, EPOCH).await.unwrap();
    world.node.ensure_running(id).await.unwrap();
    let error = guest.gone().await;
    assert_eq!(error.to_string(), "the sandbox went to sleep");
    world.finish().await;
}

#[tokio::test]
async fn whoever_comes_while_it_falls_asleep_is_served_after_it() {
    let world = World::start().await;
    let id = world.create(None, false).await;
    for _ in 0..20 {
        let (slept, accessed) =
            tokio::join!(world.node.hibernate(id, EPOCH), world.node.access(id, None));
        slept.unwrap();
        accessed.unwrap();
        world.node.ensure_running(id).await.unwrap();
    }
    world.finish().await;
}

#[tokio::test]
async fn without_room_it_goes_on_and_says_so() {
    let world = World::start().await;
    let (id, paused) = (world.create(None, false).await, world.create(None, false).await);
    world.node.pause(paused, EPOCH).await.unwrap();
    world.machines.refuse_saves(true);
    for (id, state) in [(id, State::Running), (paused, State::Paused)] {
        let refused = world.node.hibernate(id, EPOCH).await;
        assert!(matches!(refused, Err(NodeError::NoSpace(_))), "{refused:?}");
        assert_eq!(world.state(id), Some(state.clone()));
        assert_eq!(world.machines.runs(&world.name(id)), Some(state == State::Running));
        assert_eq!(world.files(id), AWAKE);
    }
    world.machines.refuse_saves(false);
    world.node.hibernate(paused, EPOCH).await.unwrap();
    world.node.wake(paused, EPOCH).await.unwrap();
    assert_eq!(world.state(paused), Some(State::Running));
    world.finish().await;
}

#[tokio::test]
async fn a_wake_that_fails_leaves_it_asleep_and_is_tried_once_for_all() {
    let world = World::start().await;
    let id = world.sleeper("one", false).await;
    world.machines.refuse_restores(true);
    for error in join_all((0..20).map(|_| world.node.access(id, None))).await {
        assert!(matches!(error, Err(NodeError::NotWoken(_))), "{error:?}");
    }
    assert_eq!(
        (world.state(id), world.files(id)),
        (Some(State::Hibernated), ASLEEP.map(str::to_owned).to_vec())
    );
    world.machines.refuse_restores(false);
    world.node.wake(id, EPOCH).await.unwrap();
    assert_eq!((world.memory(id), world.disk(id)), ("one".to_owned(), "one".to_owned()));
    world.finish().await;
}

#[tokio::test]
async fn sleep_outlives_the_server_and_the_deadline_ends_it() {
    let mut world = World::start().await;
    let kept = world.sleeper("kept", false).await;
    let short = world.create(Some(Duration::from_millis(1500)), false).await;
    world.node.hibernate(short, EPOCH).await.unwrap();
    let gone = world.sleeper("gone", true).await;
    world = world.restart().await;
    assert_eq!(world.state(kept), Some(State::Hibernated));
    world.node.delete(gone, EPOCH).await.unwrap();
    assert_eq!(world.state(gone), None);
    world.reported(short, |state| *state == State::Deleted).await;
    world.node.wake(kept, EPOCH).await.unwrap();
    assert_eq!(world.memory(kept), "kept");
    // A lifecycle that is set while it sleeps is no reason to forget its image.
    world.node.hibernate(kept, EPOCH).await.unwrap();
    let deadline = pando_types::Clock::now(&SystemClock).plus(Duration::from_secs(600));
    let life = Life { deadline: Some(deadline), persistent: true, idle_timeout: None };
    world.node.set_lifecycle(kept, EPOCH, life).await.unwrap();
    world = world.restart().await;
    world.node.wake(kept, EPOCH).await.unwrap();
    assert_eq!(world.disk(kept), "kept");
    world.finish().await;
}

#[tokio::test]
async fn a_machine_that_died_awake_has_no_image_to_go_back_to() {
    let mut world = World::start().await;
    let id = world.sleeper("one", true).await;
    world.node.wake(id, EPOCH).await.unwrap();
    world.write(id, "two");
    world.node.stop().await;
    crash(&world, id);
    world = world.restart().await;
    assert!(matches!(world.state(id), Some(State::Failed { .. })));
    assert_eq!(world.disk(id), "two", "its disk is kept as it was");
    world.finish().await;
}

#[tokio::test]
async fn an_image_that_is_broken_is_told_and_kept() {
    let mut world = World::start().await;
    let id = world.sleeper("one", false).await;
    std::fs::write(world.dir(id).join("asleep/devices"), "other").unwrap();
    let refused = world.node.wake(id, EPOCH).await;
    assert!(matches!(refused, Err(NodeError::NotWoken(_))), "{refused:?}");
    assert_eq!(world.state(id), Some(State::Hibernated));
    world = world.restart().await;
    assert!(matches!(world.state(id), Some(State::Failed { .. })));
    world.finish().await;
}
