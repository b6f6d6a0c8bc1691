//! What settings, `pando.toml` and a Procfile do, and which of them wins.

use super::super::plan::Idle;
use super::super::*;
use super::{dir, folder, image, sources};

#[test]
fn settings_win_and_empty_means_none() {
    let settings = Settings {
        install: Some(String::new()),
        build: Some("make".into()),
        start: Some("./run".into()),
        ..Settings::default()
    };
    let found = detect(&settings, &sources(&[], &[("package.json", "{}")])).unwrap();
    assert_eq!(found.install, None);
    assert_eq!(found.build.as_deref(), Some("make"));
    assert_eq!(found.serve, Serve::Command("./run".into()));
    // Anything that says how it starts can be deployed.
    let found = detect(&settings, &sources(&["main.zig"], &[])).unwrap();
    assert_eq!(found.serve, Serve::Command("./run".into()));
    let nothing = detect(&Settings::default(), &sources(&["main.zig"], &[]));
    assert!(matches!(nothing, Err(DetectError::Nothing(_))));
    let gone = Sources { app: dir("web", &[], &[]), above: Vec::new() };
    assert_eq!(detect(&settings, &gone), Err(DetectError::NoFolder("web".into())));
}

#[test]
fn settings_win_over_a_procfile_and_it_over_the_framework() {
    let texts = [
        ("package.json", r#"{"scripts":{"start":"node ."}}"#),
        ("Procfile", "web: node web.js\nworker: node worker.js\nrelease: node migrate.js\n"),
    ];
    let sources = sources(&[], &texts);
    let found = detect(&Settings::default(), &sources).unwrap();
    assert_eq!(found.serve, Serve::Command("node web.js".into()));
    assert_eq!(found.release.as_deref(), Some("node migrate.js"));
    let worker = PlannedProcess { name: "worker".into(), command: "node worker.js".into() };
    assert_eq!(found.processes, [worker]);
    let settings = Settings { start: Some("node mine.js".into()), ..Settings::default() };
    let found = detect(&settings, &sources).unwrap();
    assert_eq!(found.serve, Serve::Command("node mine.js".into()));
    assert_eq!(found.processes.len(), 1);
}

#[test]
fn settings_win_over_the_file_and_it_over_a_procfile() {
    let file = "[build]\nframework = 'node'\ninstall = 'make deps'\n[web]\ncommand = 'node file.js'\nport = 1\n[workers.a]\ncommand = 'a'\n[resources]\ncpu = 1\nmemory_mb = 512\n";
    let texts = [
        ("go.mod", "module x\n"),
        ("Procfile", "web: node proc.js\nworker: node worker.js\n"),
        ("pando.toml", file),
    ];
    let sources = sources(&[], &texts);
    let found = detect(&Settings::default(), &sources).unwrap();
    assert_eq!(found.framework, Framework::Node);
    assert_eq!(found.reasons[0], "Node app, because pando.toml says so.");
    assert_eq!(found.serve, Serve::Command("node file.js".into()));
    assert_eq!((found.port, found.install.as_deref()), (Some(1), Some("make deps")));
    assert_eq!((found.resources.cpu, found.resources.memory_mib), (Some(1), Some(512)));
    assert_eq!(found.processes, [PlannedProcess { name: "a".into(), command: "a".into() }]);
    let settings = Settings {
        framework: Some(Framework::Go),
        install: Some(String::new()),
        start: Some("./mine".into()),
        port: Some(2),
        memory_mib: Some(768),
        ..Settings::default()
    };
    let found = detect(&settings, &sources).unwrap();
    assert_eq!((found.framework, &found.serve), (Framework::Go, &Serve::Command("./mine".into())));
    assert_eq!((found.port, found.install), (Some(2), None));
    assert_eq!((found.resources.cpu, found.resources.memory_mib), (Some(1), Some(768)));
    let last: Vec<_> = found.reasons.iter().filter(|reason| reason.starts_with("Port")).collect();
    assert_eq!(
        last,
        ["Port 1, because pando.toml says so.", "Port 2, because the settings say so."]
    );
}

#[test]
fn previews_and_the_app_itself_may_differ() {
    let file = "[web]\ncommand = 'x'\n[cron.a]\nschedule = '0 3 * * *'\ncommand = 'a'\n[env]\nA = '1'\nB = '1'\n[preview]\nenv = { B = '2' }\nidle_minutes = 0\n[production]\nidle_minutes = 5\n";
    let found = |file: &str, stage| {
        let settings = Settings { stage, ..Settings::default() };
        detect(&settings, &sources(&[], &[("pando.toml", file)])).unwrap()
    };
    let (app, preview) = (found(file, Stage::Production), found(file, Stage::Preview));
    assert_eq!((&*app.env["A"], &*app.env["B"]), ("1", "1"));
    assert_eq!((&*preview.env["A"], &*preview.env["B"]), ("1", "2"));
    assert_eq!((app.idle, preview.idle), (Some(Idle::After { seconds: 300 }), Some(Idle::Never)));
    assert_eq!((app.cron[0].is_on, preview.cron[0].is_on), (true, false));
    let why = "Not run at its times: cron a, because this is a preview, and pando.toml has no `cron = true` in [preview].";
    assert!(preview.reasons.iter().any(|reason| reason == why), "{:?}", preview.reasons);
    let file = format!(
        "preview.cron = true\nproduction.cron = false\n{}",
        file.replace("[preview]\n", "")
            .replace("[production]\nidle_minutes = 5\n", "")
            .replace("env = { B = '2' }\nidle_minutes = 0\n", "")
    );
    assert!(found(&file, Stage::Preview).cron[0].is_on);
    assert!(!found(&file, Stage::Production).cron[0].is_on);
}

#[test]
fn a_framework_that_is_set_is_not_looked_for() {
    let set = |framework| Settings { framework: Some(framework), ..Settings::default() };
    let both = sources(&["server.js"], &[("package.json", "{}"), ("go.mod", "module x\n")]);
    let found = detect(&set(Framework::Node), &both).unwrap();
    assert_eq!(found.serve, Serve::Command("node server.js".into()));
    assert_eq!(found.reasons[0], "Node app, because the settings say so.");
    let found = detect(&set(Framework::Go), &both).unwrap();
    assert_eq!(found.build.as_deref(), Some("go build -o bin/pando-app ."));
    let broken = sources(&["index.html"], &[("package.json", "{")]);
    assert_eq!(detect(&set(Framework::Static), &broken).unwrap().serve, folder(""));
    assert_eq!(detect(&set(Framework::Dockerfile), &both), Err(DetectError::NoFile("Dockerfile")));
}

#[test]
fn what_is_set_runs_in_the_image_and_nothing_is_installed_beside_it() {
    let command = |text: &str| Some(text.to_owned());
    let settings = Settings {
        framework: Some(Framework::Dockerfile),
        install: command("npm ci"),
        start: command("serve"),
        port: Some(8080),
        ..Settings::default()
    };
    let texts = [("Procfile", "web: other\nrelease: migrate\n"), (".tool-versions", "ruby 3.4\n")];
    let found = detect(&settings, &sources(&["Dockerfile"], &texts)).unwrap();
    assert_eq!((&found.serve, found.port), (&image(Some("serve")), Some(8080)));
    assert_eq!((&found.install, found.tools.len()), (&None, 0));
    assert!(found.warnings[0].starts_with("The install command `npm ci` is not run"));
    assert_eq!(found.release.as_deref(), Some("migrate"));
    let settings = Settings { start: None, ..settings };
    let found = detect(&settings, &sources(&["Dockerfile"], &texts)).unwrap();
    assert_eq!(found.serve, image(Some("other")));
}
