//! What nobody uses sleeps; what somebody uses does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pando_types::{Clock, Epoch, SandboxId, SystemClock};

use super::World;
use crate::{Life, State, Visitors};

const EPOCH: Epoch = Epoch::first();
const TIMEOUT: Duration = Duration::from_millis(200);
/// Long enough that what may sleep would.
const LONG: Duration = Duration::from_millis(1000);

/// An edge whose visitors are as a test says.
#[derive(Default)]
struct Door {
    are_there: AtomicBool,
    /// Somebody comes whenever it is closed.
    come_late: AtomicBool,
    closed: AtomicUsize,
    cleared: AtomicUsize,
}

struct Edge(Arc<Door>);

impl Visitors for Edge {
    fn were_there(&self, _sandbox: SandboxId) -> bool {
        self.0.are_there.load(Ordering::SeqCst)
    }

    fn close(&self, _sandbox: SandboxId) {
        self.0.closed.fetch_add(1, Ordering::SeqCst);
        if self.0.come_late.load(Ordering::SeqCst) {
            self.0.are_there.store(true, Ordering::SeqCst);
        }
    }

    fn clear(&self, _sandbox: SandboxId, _grace: Duration) -> BoxFuture<'static, ()> {
        let door = Arc::clone(&self.0);
        async move {
            door.cleared.fetch_add(1, Ordering::SeqCst);
        }
        .boxed()
    }
}

impl World {
    fn door(&self) -> Arc<Door> {
        let door = Arc::new(Door::default());
        self.node.set_visitors(Arc::new(Edge(Arc::clone(&door))));
        door
    }

    async fn sleepy(&self) -> SandboxId {
        let id = self.create(None, false).await;
        self.idle_after(id, Some(TIMEOUT)).await;
        id
    }

    async fn idle_after(&self, id: SandboxId, idle_timeout: Option<Duration>) {
        let life = Life { deadline: None, persistent: false, idle_timeout };
        self.node.set_lifecycle(id, EPOCH, life).await.unwrap();
    }

    /// Waits until it sleeps.
    async fn asleep(&self, id: SandboxId) {
        while self.state(id) != Some(State::Hibernated) {
            tokio::time::sleep(TIMEOUT / 20).await;
        }
    }

    async fn stays_awake(&self, id: SandboxId) {
        tokio::time::sleep(LONG).await;
        assert_eq!(self.state(id), Some(State::Running));
    }
}

#[tokio::test]
async fn what_nobody_uses_sleeps_and_wakes_for_who_comes() {
    let mut world = World::start().await;
    let id = world.sleepy().await;
    for _ in 0..3 {
        world.asleep(id).await;
        world.node.ensure_running(id).await.unwrap();
        assert_eq!(world.state(id), Some(State::Running));
    }
    // It is known after a restart, and until it is taken back.
    world.asleep(id).await;
    world = world.restart().await;
    world.node.wake(id, EPOCH).await.unwrap();
    world.asleep(id).await;
    world.node.wake(id, EPOCH).await.unwrap();
    world.idle_after(id, None).await;
    world.stays_awake(id).await;
    world.finish().await;
}

#[tokio::test]
async fn visitors_clients_and_work_keep_it_awake() {
    let world = World::start().await;
    let door = world.door();
    let id = world.sleepy().await;
    door.are_there.store(true, Ordering::SeqCst);
    world.stays_awake(id).await;
    let guest = world.node.access(id, None).await.unwrap();
    door.are_there.store(false, Ordering::SeqCst);
    world.stays_awake(id).await;
    drop(guest);
    for _ in 0..40 {
        assert!(world.machines.work(&world.name(id), TIMEOUT));
        tokio::time::sleep(TIMEOUT / 8).await;
    }
    assert_eq!((world.state(id), door.closed.load(Ordering::SeqCst)), (Some(State::Running), 0));
    world.asleep(id).await;
    world.finish().await;
}

#[tokio::test]
async fn a_program_that_holds_a_lease_keeps_it_awake() {
    let world = World::start().await;
    let door = world.door();
    let id = world.sleepy().await;
    assert!(world.machines.lease(&world.name(id), 2));
    world.stays_awake(id).await;
    assert_eq!(door.closed.load(Ordering::SeqCst), 0, "nobody is kept out to ask");
    assert!(world.machines.lease(&world.name(id), 0));
    world.asleep(id).await;
    world.finish().await;
}

#[tokio::test]
async fn a_lease_keeps_it_awake_until_it_ends() {
    let mut world = World::start().await;
    let id = world.sleepy().await;
    let until = SystemClock.now().plus(Duration::from_secs(3600));
    world.node.lease(id, EPOCH, Some(until)).await.unwrap();
    world.stays_awake(id).await;
    world = world.restart().await;
    assert_eq!(world.node.observe(id).unwrap().leased_until, Some(until));
    world.stays_awake(id).await;
    world.node.lease(id, EPOCH, None).await.unwrap();
    world.asleep(id).await;
    world.finish().await;
}

#[tokio::test]
async fn whoever_comes_as_the_door_closes_keeps_it_awake() {
    let world = World::start().await;
    let door = world.door();
    door.come_late.store(true, Ordering::SeqCst);
    let id = world.sleepy().await;
    while door.closed.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(TIMEOUT / 10).await;
    }
    // The way in is open again, and nobody was cut off.
    world.node.access(id, None).await.unwrap();
    assert_eq!((world.state(id), door.cleared.load(Ordering::SeqCst)), (Some(State::Running), 0));
    door.come_late.store(false, Ordering::SeqCst);
    door.are_there.store(false, Ordering::SeqCst);
    world.asleep(id).await;
    assert_eq!(door.cleared.load(Ordering::SeqCst), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_call_closes_the_door_before_it_puts_it_to_sleep() {
    let world = World::start().await;
    let door = world.door();
    let id = world.create(None, false).await;
    assert!(!world.node.sleeps(id));
    world.node.hibernate(id, EPOCH).await.unwrap();
    assert!(world.node.sleeps(id));
    let passed = (door.closed.load(Ordering::SeqCst), door.cleared.load(Ordering::SeqCst));
    assert_eq!(passed, (1, 1));
    let refused = world.node.look_on(id, None);
    assert!(matches!(refused, Err(crate::NodeError::NotRunning(State::Hibernated))), "{refused:?}");
    let refused = world.node.connect_awake(id, 80).await;
    assert!(matches!(refused, Err(crate::ConnectError::NotRunning(State::Hibernated))));
    world.finish().await;
}
