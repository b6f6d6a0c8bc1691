use std::collections::BTreeMap;
use std::time::Duration;

use pando_store::{CronRunRow, Swap};
use pando_types::app::{App, CreateDeployment, DeploymentStatus};
use pando_types::cron::AppCron;
use pando_types::{AppId, BootId, Code};

use crate::world::World;

const MANIFEST: &str = "[cron.nightly]\nschedule = '0  3 * * *'\ncommand = 'env | sort; pwd; exit 3'\n\
    [cron.poke]\nschedule = '0 0 29 2 *'\ncommand = 'echo poked'\ntimeout_seconds = 9\n\
    [cron.slow]\nschedule = '0 0 29 2 *'\ncommand = 'echo begun; sleep 600'\n";

async fn live(world: &World, manifest: &str) -> App {
    let files = [("pando.toml", manifest.as_bytes()), ("index.html", b"hi")];
    world.repo.push("main", &files, "cron").await.unwrap();
    let env = BTreeMap::from([("TOKEN".to_owned(), "very secret".to_owned())]);
    let app = world.app(|app| app.env = Some(env)).await;
    let deployment = world.ended(app.id).await;
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
    app
}

async fn cron(world: &World, app: AppId, name: &str) -> AppCron {
    let list = world.deploy.cron_list(world.org, app).await.unwrap();
    list.items.into_iter().find(|cron| cron.name == name).unwrap()
}

/// Runs one now; it as it is once that run has ended, or could not begin.
async fn run(world: &World, app: AppId, name: &str) -> AppCron {
    let asked = world.deploy.cron_run(world.org, app, name).await.unwrap().asked_at;
    assert!(asked.is_some());
    settled(world, app, name, &asked.unwrap()).await
}

/// One as it is once it has run, or not, for that time.
async fn settled(world: &World, app: AppId, name: &str, due: &str) -> AppCron {
    let is_over = async || {
        let cron = cron(world, app, name).await;
        let ran = cron.last_run.as_ref().map(|run| run.due_at.as_str());
        let missed = cron.last_miss.as_ref().map(|miss| miss.due_at.as_str());
        [ran, missed].contains(&Some(due))
    };
    world.until("it is over", is_over).await;
    cron(world, app, name).await
}

/// Goes to the next time of one and a second beyond; that time. The keeper looks when something
/// is wanted of it, as it does each minute.
async fn pass_to_next(world: &World, app: AppId, name: &str) -> String {
    let next = world.store.cron_get(app, name).await.unwrap().unwrap().next_due.unwrap();
    world.pass(next.since(world.store.now()) + Duration::from_secs(1));
    run(world, app, "poke").await;
    next.to_rfc3339()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_wanted_runs_at_once_with_what_the_processes_have() {
    let world = World::new().await;
    let app = live(&world, MANIFEST).await;
    let nightly = cron(&world, app.id, "nightly").await;
    assert_eq!((&*nightly.schedule, nightly.timeout_seconds), ("0 3 * * *", 600));
    assert!(nightly.enabled && nightly.last_run.is_none() && nightly.running_since.is_none());
    let next = nightly.next_due_at.unwrap();
    assert!(next.ends_with("T03:00:00.000Z") && next > world.store.now().to_rfc3339(), "{next}");

    let nightly = run(&world, app.id, "nightly").await;
    assert_eq!(nightly.next_due_at, Some(next), "its times are its own");
    let last = nightly.last_run.unwrap();
    assert_eq!((last.exit_code, last.error), (Some(3), None));
    for line in ["PANDO_ENV=production", "TOKEN=[hidden]", &format!("PANDO_URL={}", app.url)] {
        assert!(last.output.lines().any(|found| found == line), "{line}: {}", last.output);
    }
    assert!(last.output.trim_end().ends_with("/app") && !last.output.contains("PORT="));

    let slow = async || world.deploy.cron_run(world.org, app.id, "slow").await;
    slow().await.unwrap();
    let runs = async || cron(&world, app.id, "slow").await.running_since.is_some();
    world.until("it runs", runs).await;
    assert_eq!(slow().await.unwrap_err().code, Code::Conflict);
    // Others run beside it.
    assert_eq!(run(&world, app.id, "poke").await.last_run.unwrap().output, "poked\n");
    let nobody = world.deploy.cron_run(world.org, app.id, "nobody").await.unwrap_err();
    assert_eq!(nobody.code, Code::NotFound);

    world.deploy.app_delete(world.org, app.id).await.unwrap();
    assert!(world.store.cron_list(app.id).await.unwrap().is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_it_is_due_it_runs_once_and_what_was_missed_is_made_up_for() {
    let world = World::new().await;
    let app = live(&world, MANIFEST).await;
    let first = pass_to_next(&world, app.id, "nightly").await;
    let nightly = settled(&world, app.id, "nightly", &first).await;
    let (last, next) = (nightly.last_run.unwrap(), nightly.next_due_at.unwrap());
    assert_eq!((&last.due_at, last.exit_code), (&first, Some(3)));
    assert!(nightly.last_miss.is_none() && next > first);

    // No room to wake it: later, and for the same time.
    world.machines.set_full(true);
    let second = pass_to_next(&world, app.id, "nightly").await;
    let nightly = settled(&world, app.id, "nightly", &second).await;
    let miss = nightly.last_miss.unwrap();
    assert_eq!((&miss.due_at, &nightly.next_due_at), (&second, &Some(second.clone())));
    let poke = cron(&world, app.id, "poke").await;
    assert!(poke.last_miss.is_some() && poke.asked_at.is_none(), "who wants it may ask again");
    world.machines.set_full(false);
    world.pass(Duration::from_secs(31));
    run(&world, app.id, "poke").await;
    let made_up = async || cron(&world, app.id, "nightly").await.last_run.unwrap().due_at == second;
    world.until("it is made up for", made_up).await;

    // More than an hour late: left out.
    let third = pass_to_next(&world, app.id, "nightly").await;
    settled(&world, app.id, "nightly", &third).await;
    let fourth = cron(&world, app.id, "nightly").await.next_due_at.unwrap();
    world.pass(Duration::from_secs(3600 * 24 + 3600));
    run(&world, app.id, "poke").await;
    let missed = async || cron(&world, app.id, "nightly").await.last_miss.unwrap().due_at == fourth;
    world.until("it is left out", missed).await;
    assert_eq!(cron(&world, app.id, "nightly").await.last_run.unwrap().due_at, third);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_sets_what_there_is() {
    let world = World::new().await;
    let app = live(&world, MANIFEST).await;
    run(&world, app.id, "nightly").await;
    let next = cron(&world, app.id, "nightly").await.next_due_at;
    let manifest = "[cron.nightly]\nschedule = '0 3 * * *'\ncommand = 'echo other'\n\
        [cron.slow]\nschedule = '0 0 1 3 *'\ncommand = 'true'\n[production]\ncron = true\n";
    let files = [("pando.toml", manifest.as_bytes())];
    let pushed = world.repo.push("main", &files, "other").await.unwrap();
    let order = CreateDeployment { git_ref: Some(pushed.sha), ..CreateDeployment::default() };
    world.new_deployment(app.id, order).await.unwrap();
    assert_eq!(world.ended(app.id).await.status, DeploymentStatus::Live);
    let list = world.deploy.cron_list(world.org, app.id).await.unwrap().items;
    let names: Vec<_> = list.iter().map(|cron| cron.name.as_str()).collect();
    assert_eq!(names, ["nightly", "slow"]);
    assert_eq!((&*list[0].command, &list[0].next_due_at), ("echo other", &next));
    assert!(list[0].last_run.is_some(), "it is the same one");
    assert!(list[1].next_due_at.as_ref().unwrap().contains("-03-01T"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_preview_it_runs_only_when_it_is_wanted() {
    let world = World::new().await;
    live(&world, MANIFEST).await;
    let head = world.repo.commit("blue", &[("x", b"x")], "blue").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Blue").await.unwrap().number;
    world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    let preview = world.previews().await.remove(0);
    assert_eq!(world.ended(preview.id).await.status, DeploymentStatus::Live);
    let nightly = cron(&world, preview.id, "nightly").await;
    assert_eq!((nightly.enabled, nightly.next_due_at), (false, None));
    let output = run(&world, preview.id, "nightly").await.last_run.unwrap().output;
    assert!(output.contains("PANDO_ENV=preview"), "{output}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_server_leaves_is_said_to_have_no_known_end() {
    let mut world = World::new().await;
    let app = live(&world, MANIFEST).await;
    world.deploy.cron_run(world.org, app.id, "slow").await.unwrap();
    let runs = async || cron(&world, app.id, "slow").await.running_since.is_some();
    world.until("it runs", runs).await;
    // And one whose server died before it could say anything.
    let row = world.store.cron_get(app.id, "poke").await.unwrap().unwrap();
    let (seen, now) = (row.next_due.unwrap(), world.store.now());
    let run = CronRunRow { boot: BootId::new(), due: seen, started: now };
    assert_eq!(world.store.cron_begin(&row, seen, run, None).await.unwrap(), Swap::Done);
    world.restart().await;
    for name in ["slow", "poke"] {
        let cron = cron(&world, app.id, name).await;
        let last = cron.last_run.unwrap();
        assert!(cron.running_since.is_none() && last.exit_code.is_none());
        assert!(last.error.unwrap().contains("is not known"));
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_where_the_app_was_live_before() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let command = format!("until test -e {}; do sleep 0.02; done; echo whole", go.display());
    let manifest = format!("[cron.long]\nschedule = '0 0 29 2 *'\ncommand = '{command}'\n");
    let app = live(&world, &manifest).await;
    let due = world.deploy.cron_run(world.org, app.id, "long").await.unwrap().asked_at.unwrap();
    let runs = async || cron(&world, app.id, "long").await.running_since.is_some();
    world.until("it runs", runs).await;
    world.new_deployment(app.id, CreateDeployment::default()).await.unwrap();
    assert_eq!(world.ended(app.id).await.status, DeploymentStatus::Live);
    // Many times the drain.
    world.pass(Duration::from_secs(10));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.machines.count(), 2, "it runs in one, and the other is live");
    std::fs::write(&go, "").unwrap();
    let last = settled(&world, app.id, "long", &due).await.last_run.unwrap();
    assert_eq!((last.exit_code, &*last.output, last.error), (Some(0), "whole\n", None));
    let is_gone = async || {
        world.pass(Duration::from_secs(2));
        world.machines.count() == 1
    };
    world.until("the old machine goes", is_gone).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_live_has_none() {
    let world = World::new().await;
    let app = world.app(|app| app.build_command = Some("exit 1".into())).await;
    world.ended(app.id).await;
    assert!(world.deploy.cron_list(world.org, app.id).await.unwrap().items.is_empty());
    let refused = world.deploy.cron_run(world.org, app.id, "nightly").await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    let missing = world.deploy.cron_list(world.org, AppId::new()).await.unwrap_err();
    assert_eq!(missing.code, Code::NotFound);
    world.finish().await;
}
