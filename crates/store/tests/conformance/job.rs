use std::time::Duration;

use pando_store::{Finish, JobWish};
use pando_types::{BootId, Timestamp};

use crate::support::World;

const LEASE: Duration = Duration::from_secs(60);

fn wish<'a>(world: &World, key: &'a str, payload: &'a str) -> JobWish<'a> {
    JobWish { kind: "deploy", key, payload, run_at: world.store.now() }
}

#[tokio::test]
async fn a_job_is_one_workers_until_its_lease_is_over() {
    let world = World::new().await;
    let (first, second) = (BootId::new(), BootId::new());
    world.store.job_put(&wish(&world, "a", "1")).await.unwrap();
    let claimed = world.store.job_claim("deploy", first, LEASE).await.unwrap().unwrap();
    assert_eq!((claimed.key.as_str(), claimed.attempts), ("a", 1));
    assert_eq!(world.store.job_claim("deploy", second, LEASE).await.unwrap(), None);
    assert_eq!(world.store.job_claim("other", second, LEASE).await.unwrap(), None);
    world.pass(LEASE / 2);
    assert!(world.store.job_renew(&claimed.lease, LEASE).await.unwrap());
    world.pass(LEASE / 2);
    assert_eq!(world.store.job_claim("deploy", second, LEASE).await.unwrap(), None);
    let next = world.store.job_next("deploy").await.unwrap().unwrap();
    assert_eq!(next, world.store.now().plus(LEASE / 2));
    world.pass(LEASE / 2);
    assert!(world.store.job_step(&claimed.lease, "halfway").await.unwrap());
    let taken = world.store.job_claim("deploy", second, LEASE).await.unwrap().unwrap();
    assert_eq!((taken.attempts, taken.step.as_str()), (2, "halfway"));
    assert!(!world.store.job_renew(&claimed.lease, LEASE).await.unwrap());
    assert!(!world.store.job_step(&claimed.lease, "too late").await.unwrap());
    assert!(!world.store.job_retry(&claimed.lease, world.store.now()).await.unwrap());
    assert_eq!(world.store.job_finish(&claimed.lease).await.unwrap(), Finish::Lost);
    assert_eq!(world.store.job_finish(&taken.lease).await.unwrap(), Finish::Done);
    assert_eq!(world.store.job_next("deploy").await.unwrap(), None);
}

#[tokio::test]
async fn a_wish_while_the_job_runs_is_not_lost() {
    let world = World::new().await;
    let boot = BootId::new();
    world.store.job_put(&wish(&world, "a", "1")).await.unwrap();
    let first = world.store.job_claim("deploy", boot, LEASE).await.unwrap().unwrap();
    world.store.job_put(&wish(&world, "a", "2")).await.unwrap();
    assert_eq!(world.store.job_claim("deploy", boot, LEASE).await.unwrap(), None);
    assert_eq!(world.store.job_finish(&first.lease).await.unwrap(), Finish::Again);
    let second = world.store.job_claim("deploy", boot, LEASE).await.unwrap().unwrap();
    assert_eq!((second.payload.as_str(), second.attempts), ("2", 1));
    assert_eq!(world.store.job_finish(&second.lease).await.unwrap(), Finish::Done);
}

#[tokio::test]
async fn a_retry_waits_and_a_new_wish_does_not() {
    let world = World::new().await;
    let boot = BootId::new();
    world.store.job_put(&wish(&world, "a", "1")).await.unwrap();
    let job = world.store.job_claim("deploy", boot, LEASE).await.unwrap().unwrap();
    let later = world.store.now().plus(Duration::from_secs(30));
    assert!(world.store.job_retry(&job.lease, later).await.unwrap());
    assert_eq!(world.store.job_claim("deploy", boot, LEASE).await.unwrap(), None);
    assert_eq!(world.store.job_next("deploy").await.unwrap(), Some(later));
    world.store.job_put(&wish(&world, "a", "2")).await.unwrap();
    assert!(world.store.job_claim("deploy", boot, LEASE).await.unwrap().is_some());
}

#[tokio::test]
async fn jobs_of_a_dead_process_are_free_at_once() {
    let world = World::new().await;
    let (dead, alive) = (BootId::new(), BootId::new());
    world.store.job_put(&wish(&world, "a", "1")).await.unwrap();
    let _lost = world.store.job_claim("deploy", dead, LEASE).await.unwrap().unwrap();
    let again = world.open_again().await;
    assert_eq!(again.job_claim("deploy", alive, LEASE).await.unwrap(), None);
    assert_eq!(again.job_release_of_other_boots(alive).await.unwrap(), 1);
    assert!(again.job_claim("deploy", alive, LEASE).await.unwrap().is_some());
    assert_eq!(again.job_release_of_other_boots(alive).await.unwrap(), 0);
}

#[tokio::test]
async fn many_workers_never_share_a_job() {
    let world = World::new().await;
    let other = world.open_again().await;
    for key in 0..40 {
        world.store.job_put(&wish(&world, &key.to_string(), "{}")).await.unwrap();
    }
    let mut workers = Vec::new();
    for number in 0..4 {
        let store = if number % 2 == 0 { world.store.clone() } else { other.clone() };
        workers.push(tokio::spawn(async move {
            let (boot, mut keys) = (BootId::new(), Vec::new());
            while let Some(job) = store.job_claim("deploy", boot, LEASE).await.unwrap() {
                keys.push(job.key.parse::<u32>().unwrap());
            }
            keys
        }));
    }
    let mut keys = Vec::new();
    for worker in workers {
        keys.extend(worker.await.unwrap());
    }
    keys.sort_unstable();
    assert_eq!(keys, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn jobs_come_in_the_order_of_their_time() {
    let world = World::new().await;
    let now = world.store.now();
    for (key, millis) in [("late", 2), ("early", 1), ("future", 60_000)] {
        let run_at = Timestamp::from_millis(now.as_millis() - 10 + millis);
        let wish = JobWish { kind: "deploy", key, payload: "{}", run_at };
        world.store.job_put(&wish).await.unwrap();
    }
    let mut keys = Vec::new();
    while let Some(job) = world.store.job_claim("deploy", BootId::new(), LEASE).await.unwrap() {
        keys.push(job.key);
    }
    assert_eq!(keys, ["early", "late"]);
}
