use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use pando_deploy::machine::Machines;
use pando_guest_protocol::supervise::ProcessState;
use pando_node::guest::{ExecEvent, ExecInput};
use pando_types::app::DeploymentStatus;
use pando_types::{AppId, Code};

use crate::world::World;

const PROCFILE: &[u8] = b"release: env -0 >release.env\n\
    web: env -0 >web.env; echo web is up; exec python3 -m http.server $PORT\n\
    worker: env -0 >worker.env; test -e again && exec sleep 600; touch again; exit 3\n";

fn own() -> BTreeMap<String, String> {
    let values = ["", " a b ", "$HOME `id` \"'\\", "two\nlines\n", "ü€"];
    values.iter().enumerate().map(|(at, value)| (format!("OWN_{at}"), (*value).into())).collect()
}

fn variables(bytes: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let pairs = text.split_terminator('\0').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_runs_with_the_same_environment_and_so_does_a_command() {
    let world = World::new().await;
    let files = [("Procfile", PROCFILE), ("index.html", b"hi")];
    let pushed = world.repo.push("main", &files, "processes").await.unwrap();
    let app = world
        .app(|app| {
            app.env = Some(own());
            app.install_command = Some("env -0 >install.env".into());
            app.build_command = Some("env -0 >build.env".into());
        })
        .await;
    let deployment = world.ended(app.id).await;
    let log = deployment.build_logs.unwrap();
    assert_eq!(deployment.status, DeploymentStatus::Live, "{log}");
    assert!(log.contains("worker: $ env -0"), "{log}");

    let sandbox = world.deploy.app_sandbox(world.org, app.id).await.unwrap();
    let read = |name: &str| world.machines.read(sandbox, &format!("app/{name}.env"));
    world.until("the worker is up", async || read("worker").is_some()).await;
    for name in ["install", "build", "release", "web", "worker"] {
        let seen = variables(&read(name).unwrap());
        for (key, value) in own() {
            assert_eq!(seen.get(&key), Some(&value), "{name}");
        }
        assert_eq!(seen.contains_key("CI"), ["install", "build"].contains(&name), "{name}");
        assert_eq!(seen.contains_key("PORT"), name == "web", "{name}");
        if name == "install" {
            // What it leaves, others begin with.
            assert!(!seen.keys().any(|key| key.starts_with("PANDO_")), "{seen:?}");
            continue;
        }
        assert_eq!(seen["PANDO_URL"], app.url, "{name}");
        assert_eq!(seen["PANDO_GIT_COMMIT"], pushed.sha, "{name}");
        assert_eq!(seen["PANDO_GIT_BRANCH"], "main", "{name}");
        assert_eq!(seen["PANDO_ENV"], "production", "{name}");
    }

    // The worker ended once, and is back.
    let machine = world.machines.open(world.org, sandbox).await.unwrap();
    let worker = async || {
        let processes = machine.processes().await.unwrap();
        processes.into_iter().find(|process| process.name == "worker").unwrap()
    };
    let is_up = async || {
        let worker = worker().await;
        worker.restarts == 1 && matches!(worker.state, ProcessState::Running { .. })
    };
    world.until("it is back", is_up).await;
    assert_eq!(worker().await.last_exit_code, Some(3));

    let argv = ["sh", "-c", "env -0; pwd >&2", "it's $HOME"].map(str::to_owned).to_vec();
    let minute = Duration::from_secs(60);
    let (told, exec) = world.deploy.app_command(world.org, app.id, argv, minute).await.unwrap();
    assert_eq!((told, exec.timeout_ms), (sandbox, Some(60_000)));
    assert_eq!(exec.argv.last().unwrap(), "it's $HOME");
    let mut output = machine.run(exec, ExecInput::Empty).await.unwrap();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(event) = output.next().await {
        match event.unwrap() {
            ExecEvent::Stdout(bytes) => stdout.extend(bytes),
            ExecEvent::Stderr(bytes) => stderr.extend(bytes),
            ExecEvent::Exit(done) => assert_eq!(done.exit_code, 0),
        }
    }
    // What a shell sets itself is not the environment's.
    let apart = |bytes: &[u8]| {
        let mut seen = variables(bytes);
        seen.retain(|name, _| !["_", "SHLVL", "OLDPWD"].contains(&name.as_str()));
        seen
    };
    assert_eq!(apart(&stdout), apart(&read("worker").unwrap()));
    assert!(String::from_utf8(stderr).unwrap().trim_end().ends_with("/app"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_live_runs_nothing() {
    let world = World::new().await;
    let app = world.app(|app| app.build_command = Some("exit 1".into())).await;
    world.ended(app.id).await;
    let refused = world.deploy.app_sandbox(world.org, app.id).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    let missing = world.deploy.app_sandbox(world.org, AppId::new()).await.unwrap_err();
    assert_eq!(missing.code, Code::NotFound);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_may_end_twice_until_what_it_needs_is_there() {
    let world = World::new().await;
    let start =
        "echo x >>tries; test $(wc -l <tries) -gt 2 || exit 1; exec python3 -m http.server $PORT";
    let app = world.app(|app| app.start_command = Some(start.into())).await;
    let deployment = world.ended(app.id).await;
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
    world.finish().await;
}
