use pando_store::{LogRow, Swap};
use pando_types::DeploymentId;
use pando_types::app::DeploymentStatus;

use crate::support::World;

#[tokio::test]
async fn a_deployment_moves_only_from_where_it_was_seen() {
    let world = World::new().await;
    let app = world.app("shop");
    let _ = world.add_app(&app).await;
    let row = world.deployment(app.id, "");
    world.add_deployment(&row).await;
    let mut fetching = row.clone();
    fetching.status = DeploymentStatus::Fetching;
    fetching.commit = "c".repeat(40);
    let mut ended = row.clone();
    ended.status = DeploymentStatus::Superseded;
    ended.finished = Some(world.store.now());
    assert_eq!(world.store.deployment_swap(&row, &fetching).await.unwrap(), Swap::Done);
    assert_eq!(world.store.deployment_swap(&row, &ended).await.unwrap(), Swap::Stale);
    assert_eq!(world.store.deployment_get(row.id).await.unwrap(), Some(fetching.clone()));
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.deployment_list_open(app.id).await.unwrap(), vec![fetching.clone()]);
    assert_eq!(tx.deployment_swap(&fetching, &ended).await.unwrap(), Swap::Done);
    assert!(tx.deployment_list_open(app.id).await.unwrap().is_empty());
    let nobody = world.deployment(app.id, "");
    assert_eq!(tx.deployment_swap(&nobody, &ended).await.unwrap(), Swap::Missing);
    tx.commit().await.unwrap();
    // Another attempt of the same status is another deployment to whoever saw the first.
    let mut second = ended.clone();
    second.attempt += 1;
    assert_eq!(world.store.deployment_swap(&second, &row).await.unwrap(), Swap::Stale);
}

#[tokio::test]
async fn deployments_are_listed_newest_first() {
    let world = World::new().await;
    let app = world.app("shop");
    let _ = world.add_app(&app).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let row = world.deployment(app.id, "");
        world.add_deployment(&row).await;
        ids.push(row.id);
    }
    ids.reverse();
    let (mut seen, mut before): (Vec<DeploymentId>, _) = (Vec::new(), None);
    loop {
        let page = world.store.deployment_list(app.id, before, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|row| row.id));
    }
    assert_eq!(seen, ids);
}

#[tokio::test]
async fn a_log_is_read_from_anywhere_and_goes_with_its_app() {
    let world = World::new().await;
    let app = world.app("shop");
    let _ = world.add_app(&app).await;
    let row = world.deployment(app.id, "");
    world.add_deployment(&row).await;
    let line = |seq: u64, text: &str| LogRow {
        seq,
        at: world.store.now(),
        status: DeploymentStatus::Building,
        text: text.into(),
    };
    assert_eq!(world.store.deployment_log_end(row.id).await.unwrap(), (0, 0));
    let rows = [line(0, "one\n"), line(1, "zwö\n"), line(2, "three\n")];
    world.store.deployment_log_append(row.id, &rows).await.unwrap();
    assert_eq!(world.store.deployment_log_end(row.id).await.unwrap(), (3, 4 + 5 + 6));
    assert_eq!(world.store.deployment_log_list(row.id, 1, 10).await.unwrap(), rows[1..]);
    assert_eq!(world.store.deployment_log_list(row.id, 0, 1).await.unwrap(), rows[..1]);
    // All or none.
    let clash = [line(3, "four\n"), line(1, "again\n")];
    assert!(world.store.deployment_log_append(row.id, &clash).await.is_err());
    assert_eq!(world.store.deployment_log_end(row.id).await.unwrap().0, 3);
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(tx.app_leave(&app).await.unwrap().0, Swap::Done);
    assert_eq!(tx.app_bury(app.id).await.unwrap(), Swap::Done);
    tx.commit().await.unwrap();
    assert_eq!(world.store.deployment_log_end(row.id).await.unwrap(), (0, 0));
}
