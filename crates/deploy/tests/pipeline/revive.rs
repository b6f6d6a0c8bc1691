use pando_types::app::{App, DeploymentStatus};

use crate::world::World;

/// Ends the machine that serves an app.
fn crash(world: &World, app: &App) {
    let sandbox = world.target(app).unwrap().sandbox.unwrap();
    world.machines.crash(sandbox);
}

/// Waits until an app has this many deployments, and the newest has ended.
async fn deployed(world: &World, app: &App, count: usize) -> DeploymentStatus {
    let made = async || world.deployments(app.id).await.len() == count;
    world.until("another deployment", made).await;
    world.ended(app.id).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_whose_machine_dies_comes_back() {
    let mut world = World::new().await;
    let app = world.app(|_| {}).await;
    let first = world.ended(app.id).await;
    // The branch moves on unseen: what comes back is what was live.
    world.repo.push("main", &[("index.html", b"two")], "two").await.unwrap();

    crash(&world, &app);
    assert_eq!(deployed(&world, &app, 2).await, DeploymentStatus::Live);
    let second = world.ended(app.id).await;
    assert_eq!(second.git_commit, first.git_commit);
    assert!(second.build_logs.unwrap().contains("its machine died"));
    assert_eq!(world.shows(&app).await, "one");

    // It dies with the server.
    world.stop().await;
    crash(&world, &app);
    world.restart().await;
    assert_eq!(deployed(&world, &app, 3).await, DeploymentStatus::Live);

    // One that keeps dying stays down, until somebody deploys again.
    crash(&world, &app);
    assert_eq!(deployed(&world, &app, 4).await, DeploymentStatus::Live);
    crash(&world, &app);
    world.restart().await;
    assert_eq!(world.deployments(app.id).await.len(), 4);
    assert_eq!(world.machines.count(), 0);
    world.finish().await;
}
