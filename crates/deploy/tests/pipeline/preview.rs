use std::collections::BTreeMap;
use std::time::Duration;

use pando_forge::Exchange;
use pando_types::Code;
use pando_types::app::{DeploymentStatus, UpdateApp};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_lives_and_dies_with_its_preview() {
    let world = World::new().await;
    let app = world
        .app(|app| {
            app.build_command = Some("echo \"$WHERE\" > where".into());
            app.env = Some(BTreeMap::from([("WHERE".into(), "production".into())]));
            app.preview_env = Some(BTreeMap::from([("WHERE".into(), "preview".into())]));
        })
        .await;
    let live = world.ended(app.id).await;
    assert_eq!(live.status, DeploymentStatus::Live, "{live:?}");
    let head = world.repo.commit("blue", &[("index.html", b"blue")], "blue").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Blue").await.unwrap().number;
    let opened = world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    assert_eq!(opened.decision, "deploy", "{opened:?}");
    let preview = world.previews().await.remove(0);
    assert_eq!((preview.pr_number, preview.pr_state.as_deref()), (Some(number), Some("open")));
    let deployment = world.ended_of(preview.id, opened.deployments[0]).await;
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
    assert_eq!(deployment.git_commit, head);
    assert_eq!(world.shows(&preview).await, "blue");
    let sandbox = world.target(&preview).unwrap().sandbox.unwrap();
    assert_eq!(world.machines.read(sandbox, "app/where").unwrap(), b"preview\n");
    let told = async || {
        let text = world.comment(number);
        text.contains(&preview.url) && text.contains("live")
    };
    world.until("the comment says so", told).await;

    // The same head again changes nothing; another one comes to the same address.
    let again = world.webhook("pull_request", &world.pull("synchronize", number, &head)).await;
    assert_eq!(again.decision, "ignore", "{again:?}");
    assert!(again.reason.contains("is live"), "{again:?}");
    let next = world.repo.push("blue", &[("index.html", b"bluer")], "bluer").await.unwrap().sha;
    let moved = world.webhook("pull_request", &world.pull("synchronize", number, &next)).await;
    assert_eq!(
        world.ended_of(preview.id, moved.deployments[0]).await.status,
        DeploymentStatus::Live
    );
    assert_eq!(world.shows(&preview).await, "bluer");

    // Closed: all gone, and the comment says so.
    world.repo.close_pull_request(number).await.unwrap();
    let closed = world.webhook("pull_request", &world.pull("closed", number, &next)).await;
    assert_eq!(closed.decision, "remove", "{closed:?}");
    assert_eq!(world.target(&preview), None);
    world.until("it is gone", async || world.previews().await.is_empty()).await;
    assert_eq!(world.machines.count(), 1, "only the app's own machine is left");
    let told = async || world.comment(number).contains("removed");
    world.until("the comment says that it is removed", told).await;

    // Reopened: back at the same address, in the same comment.
    let reopened = world.webhook("pull_request", &world.pull("reopened", number, &next)).await;
    let back = world.previews().await.remove(0);
    assert_eq!(back.url, preview.url);
    assert_eq!(
        world.ended_of(back.id, reopened.deployments[0]).await.status,
        DeploymentStatus::Live
    );
    assert_eq!(world.shows(&back).await, "bluer");
    let told = async || world.comment(number).contains("live");
    world.until("the comment is back", told).await;

    // With the app, its previews go.
    world.deploy.app_delete(world.org, app.id).await.unwrap();
    world.until("all is gone", async || world.apps().await.is_empty()).await;
    assert_eq!(world.machines.count(), 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_goes_leaves_no_word_where_it_never_was() {
    let mut world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let head = world.repo.commit("blue", &[("index.html", b"blue")], "blue").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Blue").await.unwrap().number;
    let opened = world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    let preview = world.previews().await.remove(0);
    world.ended_of(preview.id, opened.deployments[0]).await;

    // Another forge, whose first pull request has the same number, and never had a preview.
    world.restart_with_a_new_forge().await;
    world.repo.commit("red", &[("index.html", b"red")], "red").await.unwrap();
    let other = world.repo.open_pull_request("red", "main", "Red").await.unwrap().number;
    assert_eq!(other, number);
    world.deploy.app_delete(world.org, app.id).await.unwrap();
    // A removal leaves a word behind before it is done with.
    let done = async || {
        let next = async |kind| world.store.job_next(kind).await.unwrap();
        next("remove").await.is_none() && next("comment").await.is_none()
    };
    world.until("all is done", done).await;
    world.stop().await;
    assert_eq!(world.repo.comments(other).unwrap().len(), 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_fails_shows_why_at_the_pull_request() {
    let world = World::new().await;
    let app = world
        .app(|app| {
            app.build_command = Some("test ! -e broken || { echo 'oh no' >&2; exit 9; }".into())
        })
        .await;
    world.ended(app.id).await;
    let head = world.repo.commit("blue", &[("broken", b"")], "broken").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Broken").await.unwrap().number;
    let opened = world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    let preview = world.previews().await.remove(0);
    let failed = world.ended_of(preview.id, opened.deployments[0]).await;
    assert_eq!(failed.status, DeploymentStatus::Failed);
    let told = async || {
        let text = world.comment(number);
        text.contains("failed with exit code 9") && text.contains("oh no")
    };
    world.until("the comment shows error and log", told).await;
    let failure = async || world.states(&head).last().is_some_and(|state| state == "failure");
    world.until("the commit has failed", failure).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_in_the_midst_of_a_build_ends_it_and_its_status() {
    let world = World::new().await;
    let app = world
        .app(|app| app.build_command = Some("echo at it; test ! -e slow || sleep 60".into()))
        .await;
    world.ended(app.id).await;
    let head = world.repo.commit("blue", &[("slow", b"")], "slow").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Slow").await.unwrap().number;
    let opened = world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    let preview = world.previews().await.remove(0);
    world.says(preview.id, opened.deployments[0], "at it").await;
    world.webhook("pull_request", &world.pull("closed", number, &head)).await;
    world.until("it is gone", async || world.previews().await.is_empty()).await;
    assert_eq!(world.machines.count(), 1);
    let ended = async || world.states(&head).last().is_some_and(|state| state == "error");
    world.until("the status ends", ended).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_follows_what_is_changed_of_its_app() {
    let world = World::new().await;
    let app =
        world.app(|app| app.env = Some(BTreeMap::from([("WORD".into(), "own".into())]))).await;
    world.ended(app.id).await;
    let head = world.repo.commit("blue", &[("index.html", b"blue")], "blue").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Blue").await.unwrap().number;
    world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    let preview = world.previews().await.remove(0);
    world.ended(preview.id).await;
    let change = |text: &str| serde_json::from_str::<UpdateApp>(text).unwrap();
    let of_itself = world.deploy.app_update(world.org, preview.id, change("{}")).await;
    assert_eq!(of_itself.unwrap_err().code, Code::Conflict);
    let said = r#"{"build_command": "echo $WORD > index.html", "preview_env": {"WORD": "shown"}}"#;
    world.deploy.app_update(world.org, app.id, change(said)).await.unwrap();

    let head = world.repo.commit("blue", &[("more", b"")], "more").await.unwrap();
    let pushed = world.webhook("pull_request", &world.pull("synchronize", number, &head)).await;
    let deployment = world.ended_of(preview.id, pushed.deployments[0]).await;
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
    assert_eq!(world.shows(&preview).await, "shown\n");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_was_closed_unheard_loses_its_preview() {
    let mut world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let head = world.repo.head("main").await.unwrap();
    let mut numbers = Vec::new();
    for branch in ["blue", "green"] {
        world.repo.commit(branch, &[("index.html", branch.as_bytes())], branch).await.unwrap();
        let pull = world.repo.open_pull_request(branch, "main", branch).await.unwrap();
        numbers.push(pull.number);
    }
    // The last one the forge does not show.
    let [open, closed, hidden] = [numbers[0], numbers[1], 99];
    for number in [open, closed, hidden] {
        world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    }
    for preview in world.previews().await {
        world.ended(preview.id).await;
    }
    world.until("it is told of", async || !world.comment(closed).is_empty()).await;
    world.repo.close_pull_request(closed).await.unwrap();
    world.pull_requests_every = Duration::from_millis(100);
    world.restart().await;
    world.until("one is gone", async || world.previews().await.len() == 2).await;
    let told = async || world.comment(closed).contains("removed");
    world.until("the comment says that it is removed", told).await;
    let asked = async || {
        let path = format!("/repos/acme/shop/pulls/{hidden}");
        let is_it = |it: &Exchange| matches!(it, Exchange::Rest(call) if call.path == path);
        world.forge.exchanges().iter().filter(|it| is_it(it)).count() > 1
    };
    world.until("it was asked after all of them twice", asked).await;
    let left: Vec<_> = world.previews().await.iter().map(|it| it.pr_number).collect();
    assert_eq!(left, [Some(open), Some(hidden)]);
    world.finish().await;
}
