use std::time::Duration;

use pando_store::{Claim, IdempotencyRow};
use pando_types::OrgId;
use pando_types::limits::KEEP_IDEMPOTENCY;

use crate::support::World;

fn claim(world: &World, key: &str, subject: &str) -> IdempotencyRow {
    IdempotencyRow {
        org: world.org,
        key: key.into(),
        fingerprint: [7; 32],
        subject: subject.into(),
        answer: None,
        created: world.store.now(),
    }
}

#[tokio::test]
async fn of_two_claims_at_once_one_is_new() {
    let world = World::new().await;
    let other = world.open_again().await;
    let (a, b) = (claim(&world, "k", "a"), claim(&world, "k", "b"));
    let (first, second) =
        tokio::join!(world.store.idempotency_claim(&a), other.idempotency_claim(&b));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!([&first, &second].iter().filter(|claim| **claim == &Claim::New).count(), 1);
    let winner = if first == Claim::New { a } else { b };
    assert!([first, second].contains(&Claim::Known(winner)));
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day() {
    let world = World::new().await;
    let row = claim(&world, "k", "a");
    assert_eq!(world.store.idempotency_claim(&row).await.unwrap(), Claim::New);
    world.store.idempotency_finish(world.org, "k", 201, b"sealed").await.unwrap();
    let known = IdempotencyRow { answer: Some((201, b"sealed".to_vec())), ..row.clone() };
    assert_eq!(world.store.idempotency_claim(&row).await.unwrap(), Claim::Known(known));
    // Another org's key of the same name, and what is long past.
    world.pass(KEEP_IDEMPOTENCY);
    let later = claim(&world, "k", "b");
    assert_eq!(world.store.idempotency_claim(&later).await.unwrap(), Claim::New);
    assert_eq!(world.store.idempotency_prune(world.store.now()).await.unwrap(), 0);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.store.idempotency_prune(world.store.now()).await.unwrap(), 1);
}

#[tokio::test]
async fn what_made_nothing_frees_its_key_and_only_open_work_gets_a_new_subject() {
    let world = World::new().await;
    let row = claim(&world, "k", "a");
    let _ = world.store.idempotency_claim(&row).await.unwrap();
    assert!(world.store.idempotency_renew(world.org, "k", "a", "b").await.unwrap());
    assert!(!world.store.idempotency_renew(world.org, "k", "a", "c").await.unwrap());
    world.store.idempotency_release(OrgId::new(), "k").await.unwrap();
    let known = IdempotencyRow { subject: "b".into(), ..row.clone() };
    assert_eq!(world.store.idempotency_claim(&row).await.unwrap(), Claim::Known(known));
    world.store.idempotency_finish(world.org, "k", 201, b"x").await.unwrap();
    assert!(!world.store.idempotency_renew(world.org, "k", "b", "c").await.unwrap());
    world.store.idempotency_release(world.org, "k").await.unwrap();
    assert_eq!(world.store.idempotency_claim(&row).await.unwrap(), Claim::New);
}
