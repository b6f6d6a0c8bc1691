//! What need not be done again: installs, builds, starts.

use pando_deploy::machine::Machines;
use pando_types::app::{App, CreateDeployment, Deployment, DeploymentStatus, Rollback, UpdateApp};
use pando_types::{Code, DeploymentId};

use crate::world::World;

/// A package manager's, as far as the host can tell, and one that every machine has.
const INSTALL: &str = "python3 -m venv --without-pip .venv";
const REQUIREMENTS: &[(&str, &[u8])] = &[("requirements.txt", b"")];
const INSTALLED: &str = "app/.venv/pyvenv.cfg";

async fn push(world: &World, app: &App, files: &[(&str, &[u8])]) -> Deployment {
    let pushed = world.repo.push("main", files, "a push").await.unwrap();
    let delivery = world.webhook("push", &world.push("main", &pushed.sha)).await;
    let ended = world.ended_of(app.id, delivery.deployments[0]).await;
    assert_eq!(ended.status, DeploymentStatus::Live, "{ended:?}");
    ended
}

fn installs(deployment: &Deployment) -> bool {
    deployment.build_logs.as_ref().unwrap().contains(&format!("$ {INSTALL}"))
}

fn change(text: &str) -> UpdateApp {
    serde_json::from_str(text).unwrap()
}

/// An app with something to install.
async fn app(world: &World) -> App {
    world.repo.push("main", REQUIREMENTS, "requirements").await.unwrap();
    world.repo.push("main", &[("old/page.html", b"old")], "a page").await.unwrap();
    let app = world
        .app(|app| {
            app.framework = Some("static".into());
            app.install_command = Some(INSTALL.into());
        })
        .await;
    let first = world.ended(app.id).await;
    assert_eq!(first.status, DeploymentStatus::Live, "{first:?}");
    assert!(installs(&first));
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_installed_already_is_not_installed_again() {
    let world = World::new().await;
    let app = app(&world).await;
    let second = push(&world, &app, &[("index.html", b"two")]).await;
    let log = second.build_logs.as_deref().unwrap();
    assert!(!installs(&second) && log.contains("Nothing to install"), "{log}");
    assert_eq!(world.shows(&app).await, "two");
    let sandbox = world.target(&app).unwrap().sandbox.unwrap();
    assert!(world.machines.read(sandbox, INSTALLED).is_some(), "it is there all the same");

    // What the manager reads counts, and nothing else.
    let third = push(&world, &app, &[("requirements.txt", b"# more\n")]).await;
    assert!(installs(&third), "{third:?}");
    let fresh = CreateDeployment { git_ref: None, fresh: Some(true) };
    let fresh = world.new_deployment(app.id, fresh).await.unwrap();
    assert!(installs(&world.ended_of(app.id, fresh.id).await));
    assert!(world.machines.kept("layer-").len() <= 2);

    world.deploy.app_delete(world.org, app.id).await.unwrap();
    world
        .until("it is gone", async || world.deploy.app_get(world.org, app.id).await.is_err())
        .await;
    assert_eq!(world.machines.kept(""), Vec::<String>::new());
    assert_eq!(world.machines.ready(), 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_commit_does_not_have_is_not_there_any_more() {
    let world = World::new().await;
    let without = world.repo.push("main", REQUIREMENTS, "requirements").await.unwrap().sha;
    let app = app(&world).await;
    let sandbox = world.target(&app).unwrap().sandbox.unwrap();
    assert!(world.machines.read(sandbox, "app/old/page.html").is_some());
    let before = CreateDeployment { git_ref: Some(without), fresh: None };
    let second = world.new_deployment(app.id, before).await.unwrap();
    let second = world.ended_of(app.id, second.id).await;
    assert!(second.status == DeploymentStatus::Live && !installs(&second), "{second:?}");
    let sandbox = world.target(&app).unwrap().sandbox.unwrap();
    assert!(world.machines.read(sandbox, "app/old/page.html").is_none());
    assert!(world.machines.read(sandbox, INSTALLED).is_some());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_is_what_was_ready() {
    let world = World::new().await;
    let app = app(&world).await;
    let again = world.new_deployment(app.id, CreateDeployment::default()).await.unwrap();
    let again = world.ended_of(app.id, again.id).await;
    let log = again.build_logs.as_deref().unwrap();
    assert_eq!(again.status, DeploymentStatus::Live, "{log}");
    assert!(log.contains("Going on with the machine of deployment"), "{log}");
    // Another environment is not the same.
    let other = change(r#"{"env": {"A": "1"}}"#);
    world.deploy.app_update(world.org, app.id, other).await.unwrap();
    let other = world.new_deployment(app.id, CreateDeployment::default()).await.unwrap();
    let other = world.ended_of(app.id, other.id).await;
    let log = other.build_logs.as_deref().unwrap();
    assert!(!log.contains("Going on with the machine"), "{log}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_back_one_at_a_time() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    let first = world.ended(app.id).await;
    let back = |to: Option<DeploymentId>| {
        let request = Rollback { deployment_id: to };
        world.deploy.app_rollback(DeploymentId::new(), world.org, app.id, request)
    };
    let error = back(None).await.unwrap_err();
    assert_eq!(error.code, Code::Conflict);
    push(&world, &app, &[("index.html", b"two")]).await;
    push(&world, &app, &[("index.html", b"three")]).await;
    for shown in ["two", "one"] {
        let rollback = back(None).await.unwrap();
        assert_eq!(
            (rollback.reason.as_str(), rollback.status),
            ("rollback", DeploymentStatus::Queued)
        );
        let rollback = world.ended_of(app.id, rollback.id).await;
        assert_eq!(rollback.status, DeploymentStatus::Live, "{rollback:?}");
        assert_eq!(world.shows(&app).await, shown);
    }
    assert_eq!(back(None).await.unwrap_err().code, Code::Conflict);
    assert_eq!(back(Some(DeploymentId::new())).await.unwrap_err().code, Code::Conflict);
    let named = back(Some(world.deployments(app.id).await[2].id)).await.unwrap();
    assert_eq!(
        world.ended_of(app.id, named.id).await.origin_id,
        Some(world.deployments(app.id).await[3].id)
    );
    assert_eq!(world.shows(&app).await, "three");
    // What was kept may be gone: its commit is not.
    for name in world.machines.kept("built-") {
        world.machines.forget_disk(&name.parse().unwrap()).await.unwrap();
    }
    world.machines.forget_all_ready();
    let rollback = back(Some(first.id)).await.unwrap();
    let rollback = world.ended_of(app.id, rollback.id).await;
    assert_eq!(rollback.status, DeploymentStatus::Live, "{rollback:?}");
    assert_eq!((world.shows(&app).await.as_str(), rollback.git_commit), ("one", first.git_commit));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_has_the_environment_of_now_and_builds_nothing() {
    let world = World::new().await;
    let procfile = b"web: echo $WORD >index.html; exec python3 -m http.server $PORT\n";
    world.repo.push("main", &[("Procfile", procfile)], "an app").await.unwrap();
    let app = world
        .app(|app| {
            app.build_command = Some("echo BUILDS".into());
            app.env = Some([("WORD".to_owned(), "one".to_owned())].into());
        })
        .await;
    world.ended(app.id).await;
    assert_eq!(world.shows(&app).await, "one\n");
    let other = change(r#"{"env": {"WORD": "other"}}"#);
    world.deploy.app_update(world.org, app.id, other).await.unwrap();
    for _ in 0..2 {
        let restart =
            world.deploy.app_restart(DeploymentId::new(), world.org, app.id).await.unwrap();
        let restart = world.ended_of(app.id, restart.id).await;
        let log = restart.build_logs.as_deref().unwrap();
        assert_eq!(restart.status, DeploymentStatus::Live, "{log}");
        assert!(!log.contains("BUILDS"), "{log}");
        assert_eq!(world.shows(&app).await, "other\n");
    }
    // Back to the first restart, then to what was before it.
    for shown in ["other\n", "one\n"] {
        let request = Rollback::default();
        let rollback =
            world.deploy.app_rollback(DeploymentId::new(), world.org, app.id, request).await;
        world.ended_of(app.id, rollback.unwrap().id).await;
        assert_eq!(world.shows(&app).await, shown);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_started_anew_is_released_anew() {
    let world = World::new().await;
    let web = "web: test -e migrated && exec python3 -m http.server $PORT\n";
    let procfile = format!("{web}release: echo done >migrated\n");
    world.repo.push("main", &[("Procfile", procfile.as_bytes())], "a release").await.unwrap();
    let app = world.app(|_| {}).await;
    let first = world.ended(app.id).await;
    assert_eq!(first.status, DeploymentStatus::Live, "{first:?}");
    let id = DeploymentId::new();
    world.deploy.app_restart(id, world.org, app.id).await.unwrap();
    let restarted = world.ended_of(app.id, id).await;
    assert_eq!(restarted.status, DeploymentStatus::Live, "{restarted:?}");
    let phases: Vec<_> = restarted.phases.iter().map(|phase| phase.status).collect();
    assert!(phases.contains(&DeploymentStatus::Releasing), "{phases:?}");
    assert!(!phases.contains(&DeploymentStatus::Building), "{phases:?}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_no_push_that_is_under_way() {
    let world = World::new().await;
    let app = world.app(|app| app.build_command = Some("sleep 2".into())).await;
    assert_eq!(world.ended(app.id).await.status, DeploymentStatus::Live);
    let pushed = world.repo.push("main", &[("index.html", b"two")], "two").await.unwrap();
    let delivery = world.webhook("push", &world.push("main", &pushed.sha)).await;
    let id = DeploymentId::new();
    let anew = world.deploy.app_restart(id, world.org, app.id).await.unwrap();
    assert_eq!((&*anew.reason, &anew.git_commit), ("push", &pushed.sha));
    let ended = world.ended_of(app.id, id).await;
    assert_eq!(ended.status, DeploymentStatus::Live, "{ended:?}");
    assert_eq!(world.shows(&app).await, "two");
    let before = world.ended_of(app.id, delivery.deployments[0]).await;
    assert_eq!(before.status, DeploymentStatus::Superseded);
    world.finish().await;
}
