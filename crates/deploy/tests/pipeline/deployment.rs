use std::collections::BTreeMap;

use pando_types::app::{AppStatus, CreateDeployment, DeploymentStatus, UpdateApp};
use pando_types::limits::MAX_DEPLOYMENT_LOG_BYTES;
use pando_types::{AppId, Code, OrgId};

use crate::machine::OWN_SIZE;
use crate::world::{World, statuses};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_goes_live_and_says_why() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    assert_eq!(app.status, AppStatus::Building);
    assert_eq!(world.target(&app).unwrap().sandbox, None);
    let deployment = world.ended(app.id).await;
    let log = deployment.build_logs.unwrap();
    assert_eq!(deployment.status, DeploymentStatus::Live, "{log}");
    assert_eq!(deployment.git_commit, world.repo.head("main").await.unwrap());
    for line in [
        "Static site, because index.html is there.",
        "The app answers with status 200.",
        "Live at http://shop-",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    let phases: Vec<_> = deployment.phases.iter().map(|phase| phase.status).collect();
    assert_eq!(phases.len(), 8, "{phases:?}");
    assert_eq!(world.shows(&app).await, "one");
    let app = world.deploy.app_get(world.org, app.id).await.unwrap();
    assert_eq!((app.status, app.active_deployment_id), (AppStatus::Running, Some(deployment.id)));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redeploy_flips_and_the_old_machine_goes_after_its_drain() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let first = world.target(&app).unwrap().sandbox;
    let pushed = world.repo.push("main", &[("index.html", b"two")], "two").await.unwrap();
    let delivery = world.webhook("push", &world.push("main", &pushed.sha)).await;
    assert_eq!(delivery.decision, "deploy", "{delivery:?}");
    let deployment = world.ended_of(app.id, delivery.deployments[0]).await;
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
    assert_eq!(deployment.git_commit, pushed.sha);
    assert_eq!(world.shows(&app).await, "two");
    assert_ne!(world.target(&app).unwrap().sandbox, first);
    world.until("the old machine goes", async || world.machines.count() == 1).await;
    // The status of the commit has come to its end.
    let told = async || world.states(&pushed.sha).last().is_some_and(|state| state == "success");
    world.until("the forge is told", told).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_keeps_the_old_version_and_leaves_no_machine() {
    let world = World::new().await;
    let app = world
        .app(|app| {
            app.build_command = Some("echo building with $TOKEN; test ! -e broken".into());
            app.env = Some(BTreeMap::from([("TOKEN".into(), "very-secret-value".into())]));
        })
        .await;
    let first = world.ended(app.id).await;
    assert_eq!(first.status, DeploymentStatus::Live, "{first:?}");
    let log = first.build_logs.unwrap();
    assert!(log.contains("building with [hidden]") && !log.contains("very-secret-value"), "{log}");
    let pushed = world.repo.push("main", &[("broken", b"")], "break it").await.unwrap();
    let delivery = world.webhook("push", &world.push("main", &pushed.sha)).await;
    let failed = world.ended_of(app.id, delivery.deployments[0]).await;
    assert_eq!(failed.status, DeploymentStatus::Failed);
    let error = failed.error.unwrap();
    assert!(error.ends_with("failed with exit code 1"), "{error}");
    assert_eq!(world.shows(&app).await, "one");
    world.until("its machine goes", async || world.machines.count() == 1).await;
    let app = world.deploy.app_get(world.org, app.id).await.unwrap();
    assert_eq!(app.status, AppStatus::Running);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pando_toml_is_followed_and_one_that_is_wrong_ends_the_deployment() {
    let world = World::new().await;
    let files: [(&str, &[u8]); 2] = [
        ("site/index.html", b"from the file"),
        ("pando.toml", b"[build]\ncommand = \"echo $COLOUR $SHAPE\"\n[web]\nfolder = \"site\"\n[env]\nCOLOUR = \"green\"\nSHAPE = \"round\"\n"),
    ];
    world.repo.push("main", &files, "a file").await.unwrap();
    let env = BTreeMap::from([("SHAPE".to_owned(), "oval".to_owned())]);
    let app = world.app(|app| app.env = Some(env)).await;
    let first = world.ended(app.id).await;
    let log = first.build_logs.clone().unwrap();
    assert_eq!(first.status, DeploymentStatus::Live, "{log}");
    assert!(log.contains("Serves the files of site, because pando.toml says so."), "{log}");
    // What is set on the app goes before the file.
    assert!(log.contains("green oval"), "{log}");
    assert!(world.target(&app).unwrap().sandbox.is_some());
    let wrong: &[u8] = b"[web]\nfolder = \"site\"\nprot = 80\n";
    let pushed = world.repo.push("main", &[("pando.toml", wrong)], "wrong").await.unwrap();
    let delivery = world.webhook("push", &world.push("main", &pushed.sha)).await;
    let failed = world.ended_of(app.id, delivery.deployments[0]).await;
    assert_eq!(failed.status, DeploymentStatus::Failed);
    assert_eq!(failed.phases.last().unwrap().status, DeploymentStatus::Detecting);
    let said = "pando.toml, line 3, column 1:\n  3 | prot = 80\n    | ^^^^ `prot` is no key of [web]; the nearest is `port`";
    assert_eq!(failed.error.as_deref(), Some(said));
    assert!(failed.build_logs.unwrap().contains(said));
    assert!(world.target(&app).unwrap().sandbox.is_some());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ends_early_fails_with_its_last_words() {
    let world = World::new().await;
    let app = world.app(|app| app.start_command = Some("echo no such module; exit 3".into())).await;
    let failed = world.ended(app.id).await;
    assert_eq!(failed.status, DeploymentStatus::Failed);
    let error = failed.error.unwrap();
    assert_eq!(error, "the app ended before it answered, with exit code 3");
    assert!(failed.build_logs.unwrap().contains("no such module"));
    let app = world.deploy.app_get(world.org, app.id).await.unwrap();
    assert_eq!(app.status, AppStatus::Error);
    assert_eq!(world.target(&app).unwrap().sandbox, None);
    world.until("nothing is left", async || world.machines.count() == 0).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_deployment_takes_the_place_of_one_under_way() {
    let world = World::new().await;
    let app = world
        .app(|app| app.build_command = Some("echo at it; test -e quick || sleep 60".into()))
        .await;
    let first = world.deployments(app.id).await[0].id;
    world.says(app.id, first, "at it").await;
    let pushed = world.repo.push("main", &[("quick", b"")], "quick").await.unwrap();
    let delivery = world.webhook("push", &world.push("main", &pushed.sha)).await;
    let second = world.ended_of(app.id, delivery.deployments[0]).await;
    assert_eq!(second.status, DeploymentStatus::Live, "{second:?}");
    let all = world.deployments(app.id).await;
    assert_eq!(statuses(&all), [DeploymentStatus::Live, DeploymentStatus::Superseded]);
    world.until("the first one's machine goes", async || world.machines.count() == 1).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_by_hand_is_built_even_when_it_is_live() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    let first = world.ended(app.id).await;
    let head = first.git_commit.clone();
    let again = CreateDeployment { git_ref: Some(head.clone()), fresh: Some(true) };
    let again = world.new_deployment(app.id, again).await.unwrap();
    let again = world.ended_of(app.id, again.id).await;
    assert_eq!(
        (again.status, again.git_commit, again.reason.as_str()),
        (DeploymentStatus::Live, head, "api")
    );
    let bad = CreateDeployment { git_ref: Some("../x".into()), fresh: None };
    let error = world.new_deployment(app.id, bad).await.unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some("git_ref")));
    let full = CreateDeployment { git_ref: Some("refs/heads/main".into()), fresh: None };
    let error = world.new_deployment(app.id, full).await.unwrap_err();
    assert_eq!(error.field.as_deref(), Some("git_ref"));
    assert_eq!(error.hint.as_deref(), Some("give the short name: main"));
    let missing = CreateDeployment { git_ref: Some("no-such-branch".into()), fresh: None };
    let missing = world.new_deployment(app.id, missing).await.unwrap();
    let missing = world.ended_of(app.id, missing.id).await;
    assert_eq!(missing.error.as_deref(), Some("the repository has no refs/heads/no-such-branch"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_deleted_in_a_build_leaves_nothing() {
    let world = World::new().await;
    let app = world.app(|app| app.build_command = Some("echo at it; sleep 60".into())).await;
    let id = world.deployments(app.id).await[0].id;
    world.says(app.id, id, "at it").await;
    world.deploy.app_delete(world.org, app.id).await.unwrap();
    assert_eq!(world.target(&app), None, "the host leads nowhere at once");
    world
        .until("it is gone", async || world.deploy.app_get(world.org, app.id).await.is_err())
        .await;
    assert_eq!(world.machines.count(), 0, "the row goes last");
    // Whoever asks again cannot know how far the removal is: the answer is the same.
    world.deploy.app_delete(world.org, app.id).await.unwrap();
    let error = world.deploy.app_delete(OrgId::new(), app.id).await.unwrap_err();
    assert_eq!(error.code, Code::NotFound, "of another org");
    let error = world.deploy.app_delete(world.org, AppId::new()).await.unwrap_err();
    assert_eq!(error.code, Code::NotFound, "there never was one");
    // The name is free.
    let again = world.app(|_| {}).await;
    assert_eq!(world.ended(again.id).await.status, DeploymentStatus::Live);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_the_field_and_make_nothing() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    let request = |name: &str, url: &str| pando_types::app::CreateApp {
        name: name.into(),
        git_url: url.into(),
        ..Default::default()
    };
    for (name, url, field) in [
        ("other", "http://127.0.0.1:1/a/b", Some("git_url")),
        ("other", "https://user:pw@forge.example/a/b", Some("git_url")),
        ("Bad Name", "https://forge.example/a/b", Some("name")),
        ("shop", "https://forge.example/a/b", None),
    ] {
        let error =
            world.deploy.app_create(AppId::new(), world.org, request(name, url)).await.unwrap_err();
        assert_eq!(error.field.as_deref(), field, "{error}");
    }
    assert_eq!(world.apps().await.len(), 1);
    world.ended(app.id).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_holds_from_the_next_deployment_on() {
    let world = World::new().await;
    let app = world.app(|app| app.port = Some(3000)).await;
    world.ended(app.id).await;
    let change = |text: &str| serde_json::from_str::<UpdateApp>(text).unwrap();
    let said = r#"{"build_command": "echo three > index.html; echo $WORD >> index.html",
        "env": {"WORD": "four"}, "port": 3001, "auto_deploy": false}"#;
    let changed = world.deploy.app_update(world.org, app.id, change(said)).await.unwrap();
    assert_eq!((changed.port, changed.auto_deploy), (3001, false));
    assert_eq!(changed.git_branch, "main");
    // What is live is as it was, where it was.
    assert_eq!(world.target(&app).unwrap().port, 3000);
    assert_eq!(world.shows(&app).await, "one");
    let deployment = world.new_deployment(app.id, CreateDeployment::default()).await.unwrap();
    let deployment = world.ended_of(app.id, deployment.id).await;
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
    assert_eq!(world.target(&app).unwrap().port, 3001);
    assert_eq!(world.shows(&app).await, "three\nfour\n");
    // Null is as if it had never been set; what is absent stays.
    let changed = change(r#"{"build_command": null, "port": null}"#);
    let changed = world.deploy.app_update(world.org, app.id, changed).await.unwrap();
    assert_eq!((changed.build_command, changed.port, changed.auto_deploy), (None, 3000, false));

    let refused = world.deploy.app_update(world.org, app.id, change(r#"{"port": 0}"#)).await;
    assert_eq!(refused.unwrap_err().field.as_deref(), Some("port"));
    let other = world.deploy.app_update(OrgId::new(), app.id, change("{}")).await;
    assert_eq!(other.unwrap_err().code, Code::NotFound);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn install_runs_in_the_workspace_and_all_else_in_the_app() {
    let world = World::new().await;
    let files: &[(&str, &[u8])] = &[
        ("package.json", b"{\"workspaces\":[\"apps/*\"]}"),
        ("apps/web/package.json", b"{}"),
        ("apps/web/index.html", b"web"),
    ];
    world.repo.push("main", files, "a workspace").await.unwrap();
    let app = world
        .app(|app| {
            app.root_directory = Some("apps/web".into());
            app.install_command = Some("touch installed".into());
            app.build_command =
                Some("mkdir dist && cp index.html dist && ls ../../installed".into());
        })
        .await;
    let deployment = world.ended(app.id).await;
    let log = deployment.build_logs.unwrap();
    assert_eq!(deployment.status, DeploymentStatus::Live, "{log}");
    assert!(log.contains("Serves dist/, because the build left index.html there."), "{log}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_before_the_start_and_its_failure_keeps_what_is_live() {
    let world = World::new().await;
    let procfile = b"web: python3 -m http.server $PORT\nrelease: cp next index.html\n";
    let files: &[(&str, &[u8])] = &[("Procfile", procfile), ("next", b"released")];
    world.repo.push("main", files, "a release").await.unwrap();
    let app = world.app(|_| {}).await;
    let deployment = world.ended(app.id).await;
    assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
    assert_eq!(world.shows(&app).await, "released");

    let procfile = b"web: python3 -m http.server $PORT\nrelease: exit 3\n";
    let pushed = world.repo.push("main", &[("Procfile", procfile)], "broken").await.unwrap();
    let delivery = world.webhook("push", &world.push("main", &pushed.sha)).await;
    let failed = world.ended_of(app.id, delivery.deployments[0]).await;
    assert_eq!(failed.status, DeploymentStatus::Failed);
    assert_eq!(failed.error.as_deref(), Some("`exit 3` failed with exit code 3"));
    assert_eq!(world.shows(&app).await, "released");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_of_the_org_gives_its_size_and_no_other_is_made() {
    let world = World::new().await;
    let files: &[(&str, &[u8])] = &[("pando.toml", b"[resources]\ncpu = 4\n")];
    world.repo.push("main", files, "as large as it gets").await.unwrap();
    let app = world.app(|app| app.template = Some("own".into())).await;
    assert_eq!((app.cpu, app.memory_mb), (OWN_SIZE.cpu, OWN_SIZE.memory_mib));
    let deployment = world.ended(app.id).await;
    let log = deployment.build_logs.unwrap();
    assert_eq!(deployment.status, DeploymentStatus::Live, "{log}");
    assert!(log.contains("Size: 1 vCPUs, because the settings say so."), "{log}");
    // A size goes with the template that has it.
    let change = UpdateApp { template: Some(Some("base".into())), ..UpdateApp::default() };
    let app = world.deploy.app_update(world.org, app.id, change).await.unwrap();
    assert_eq!((app.template.as_str(), app.cpu), ("base", OWN_SIZE.cpu));
    let change = UpdateApp {
        template: Some(Some("own".into())),
        cpu: Some(Some(4)),
        ..UpdateApp::default()
    };
    let refused = world.deploy.app_update(world.org, app.id, change).await.unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("cpu"));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_full_has_its_end() {
    let world = World::new().await;
    let noise = "yes \"$(printf %01000d 0)\" | head -c 9009000";
    let command = format!("{noise}; echo THE-REAL-ERROR; exit 7");
    let app = world.app(|app| app.build_command = Some(command)).await;
    let failed = world.ended(app.id).await;
    assert_eq!(failed.status, DeploymentStatus::Failed);
    let log = failed.build_logs.unwrap();
    let bound = usize::try_from(MAX_DEPLOYMENT_LOG_BYTES).unwrap() + 256 * 1024;
    assert!(log.len() < bound, "{}", log.len());
    let lines: Vec<&str> = log.lines().collect();
    let [.., error, end] = &lines[..] else { panic!("{} lines", lines.len()) };
    assert_eq!(*error, "THE-REAL-ERROR");
    let why = "failed with exit code 7.";
    assert!(end.starts_with("Failed: ") && end.ends_with(why), "{end}");
    // It says how much is missing, behind where it was full.
    let is_full = |line: &&str| line.starts_with("[the log has reached 8 MiB");
    let full = lines.iter().position(is_full).unwrap();
    let left_out = lines[full + 1].strip_suffix(" lines are left out here]").unwrap();
    let left_out: usize = left_out.strip_prefix('[').unwrap().parse().unwrap();
    let kept = lines.iter().filter(|line| line.len() == 1000).count();
    assert_eq!(left_out + kept, 9000);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_grace_is_for_the_first_answer_alone() {
    let world = World::new().await;
    let health: &[u8] = b"[web]\nfolder = '.'\nhealth = { grace_seconds = 1 }\n";
    world.repo.push("main", &[("pando.toml", health)], "hurry").await.unwrap();
    let app = world.app(|_| {}).await;
    let first = world.ended(app.id).await;
    assert_eq!(first.status, DeploymentStatus::Live, "{first:?}");
    // Beside another version it is watched for as long as all of its grace.
    let pushed = world.repo.push("main", &[("index.html", b"two")], "two").await.unwrap();
    let delivery = world.webhook("push", &world.push("main", &pushed.sha)).await;
    let second = world.ended_of(app.id, delivery.deployments[0]).await;
    assert_eq!(second.status, DeploymentStatus::Live, "{second:?}");
    world.finish().await;
}
