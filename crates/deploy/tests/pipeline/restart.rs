use pando_store::JobWish;
use pando_types::app::DeploymentStatus;
use serde_json::json;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_cut_by_a_restart_begins_anew() {
    let mut world = World::new().await;
    let marker = tempfile::tempdir().unwrap();
    let path = marker.path().join("go").display().to_string();
    let app = world
        .app(|app| app.build_command = Some(format!("echo at it; test -e {path} || sleep 60")))
        .await;
    let id = world.deployments(app.id).await[0].id;
    world.says(app.id, id, "at it").await;
    std::fs::write(marker.path().join("go"), "").unwrap();
    world.restart().await;
    let deployment = world.ended_of(app.id, id).await;
    let log = deployment.build_logs.unwrap();
    assert_eq!(deployment.status, DeploymentStatus::Live, "{log}");
    assert!(log.contains("the server stops") && log.contains("Attempt 2"), "{log}");
    // One that was cut off; then one that builds, and one that runs.
    assert_eq!((world.machines.made(), world.machines.count()), (3, 1));
    assert_eq!(deployment.phases.len(), 8, "the phases are the last attempt's");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_and_removals_survive_a_restart() {
    let mut world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let before = world.target(&app);
    world.restart().await;
    assert_eq!(world.target(&app), before);
    // Wanted gone, and the server stops at once.
    world.deploy.app_delete(world.org, app.id).await.unwrap();
    world.restart().await;
    assert_eq!(world.target(&app), None);
    world
        .until("it is gone", async || world.deploy.app_get(world.org, app.id).await.is_err())
        .await;
    assert_eq!(world.machines.count(), 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_was_cut_off_behind_its_row_is_ended() {
    let mut world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    world.stop().await;
    let mut tx = world.store.begin().await.unwrap();
    let row = tx.app_get(app.id).await.unwrap().unwrap();
    let _ = tx.app_leave(&row).await.unwrap();
    let _ = tx.app_bury(app.id).await.unwrap();
    let (key, payload) = (app.id.to_string(), json!({ "app": app.id }).to_string());
    let run_at = tx.now();
    tx.job_put(&JobWish { kind: "remove", key: &key, payload: &payload, run_at }).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.mirrors(), 1);
    world.restart().await;
    world.until("its mirror goes", async || world.mirrors() == 0).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_takes_the_server_down_is_given_up() {
    let mut world = World::new().await;
    let app = world.app(|app| app.build_command = Some("echo at it; sleep 60".into())).await;
    let id = world.deployments(app.id).await[0].id;
    for attempt in 1..=3 {
        world.says(app.id, id, "at it").await;
        if attempt > 1 {
            world.says(app.id, id, &format!("Attempt {attempt}")).await;
            // The build of this attempt, not the text of an earlier one.
            world.until("its machine is there", async || world.machines.count() == 1).await;
        }
        world.restart().await;
    }
    let deployment = world.ended_of(app.id, id).await;
    assert_eq!(deployment.status, DeploymentStatus::Failed);
    assert!(deployment.error.unwrap().contains("begun 3 times"));
    world.until("nothing is left", async || world.machines.count() == 0).await;
    world.finish().await;
}
