//! What settings do, and what hostile sources cannot do. Real repositories are in
//! `fixtures`.

use proptest::prelude::*;

use super::files::{ABOVE_FILES, APP_FILES, HEADS, PYTHON_APPS, VERSION_FILES};
use super::plan::{Built, Idle};
use super::sources::Dir;
use super::*;

pub(super) fn dir(path: &str, names: &[&str], texts: &[(&str, &str)]) -> Dir {
    let all = names.iter().chain(texts.iter().map(|(name, _)| name));
    Dir {
        path: path.to_owned(),
        names: all.map(|name| (*name).to_owned()).collect(),
        texts: texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        ..Dir::default()
    }
}

fn sources(names: &[&str], texts: &[(&str, &str)]) -> Sources {
    Sources { app: dir("", names, texts), above: Vec::new() }
}

fn plan(names: &[&str], package_json: &str) -> Result<Plan, DetectError> {
    detect(&Settings::default(), &sources(names, &[("package.json", package_json)]))
}

fn folder(folder: &str) -> Serve {
    Serve::Folder(Pages { folder: folder.to_owned(), single_page: false })
}

fn built() -> Serve {
    let folders = ["dist", "build", "out"].map(str::to_owned).to_vec();
    Serve::BuiltFolder(Built { folders, single_page: false })
}

#[test]
fn a_node_app_with_a_lockfile() {
    let package = r#"{"scripts":{"start":"node .","build":"tsc"}}"#;
    let plan = plan(&["package-lock.json"], package).unwrap();
    assert_eq!(plan.install.as_deref(), Some("npm ci"));
    assert_eq!(plan.build.as_deref(), Some("npm run build"));
    assert_eq!(plan.serve, Serve::Command("npm start".into()));
    assert_eq!(
        plan.reasons,
        [
            "Node app, because package.json has a start script.",
            "node 22, because nothing names a version.",
            "Install: `npm ci`, because package-lock.json is there.",
            "Build: `npm run build`, because package.json has a build script.",
            "Start: `npm start`, because package.json has a start script.",
        ]
    );
}

#[test]
fn what_starts_a_node_app() {
    let serve = |names: &[&str], package: &str| plan(names, package).map(|plan| plan.serve);
    let command = |text: &str| Ok(Serve::Command(text.into()));
    assert_eq!(serve(&["server.js"], "{}"), command("node server.js"));
    assert_eq!(serve(&["index.js"], "{}"), command("node index.js"));
    assert_eq!(serve(&["lib/"], r#"{"main":"lib/it's.js"}"#), command(r"node 'lib/it'\''s.js'"));
    // npm writes this where nothing is.
    assert_eq!(serve(&["app.js"], r#"{"main":"index.js"}"#), command("node app.js"));
    let package = r#"{"scripts":{"build":"make"}}"#;
    assert_eq!(serve(&["index.html", "index.js"], package), Ok(built()));
    assert_eq!(serve(&["index.html"], "{}"), Ok(folder("")));
    assert!(matches!(serve(&[], "{}"), Err(DetectError::NoStart)));
    let root = r#"{"workspaces":["apps/*"],"scripts":{"build":"turbo run build"}}"#;
    let many = serve(&["apps/", "apps/web/", "apps/api/"], root).unwrap_err().to_string();
    assert!(many.ends_with("to the app's folder: apps/api, apps/web"), "{many}");
    assert!(matches!(serve(&[], "[]"), Err(DetectError::PackageJson(..))));
    assert!(matches!(serve(&[], "{"), Err(DetectError::PackageJson(..))));
}

#[test]
fn a_package_json_that_is_too_large_is_named() {
    let mut sources = sources(&["package.json"], &[]);
    sources.app.too_large.insert("package.json".into());
    let error = detect(&Settings::default(), &sources).unwrap_err();
    assert_eq!(error.to_string(), "package.json is no JSON object: it is larger than 1 MiB");
}

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
fn what_serves_files_needs_nothing_that_is_known() {
    let file = "[web]\nfolder = './site/'\n";
    let texts = [("pando.toml", file), ("Makefile", "")];
    let found = detect(&Settings::default(), &sources(&[], &texts)).unwrap();
    let site = Built { folders: vec!["site".into()], single_page: false };
    assert_eq!((found.framework, found.serve), (Framework::Static, Serve::BuiltFolder(site)));
    // A framework with its router in the browser keeps it.
    let package = r#"{"dependencies":{"vite":"8"}}"#;
    let texts = [("pando.toml", file), ("package.json", package)];
    let found = detect(&Settings::default(), &sources(&[], &texts)).unwrap();
    let site = Built { folders: vec!["site".into()], single_page: true };
    assert_eq!((found.framework, found.serve), (Framework::Vite, Serve::BuiltFolder(site)));
    let settings = Settings { start: Some("./mine".into()), ..Settings::default() };
    let found = detect(&settings, &sources(&[], &texts)).unwrap();
    assert_eq!(found.serve, Serve::Command("./mine".into()));
}

#[test]
fn a_file_that_is_wrong_ends_it() {
    let mut sources = sources(&["index.html"], &[("pando.toml", "[web]\nprot = 1\n")]);
    let error = detect(&Settings::default(), &sources).unwrap_err().to_string();
    assert!(error.ends_with("`prot` is no key of [web]; the nearest is `port`"), "{error}");
    sources.app.texts.clear();
    let error = detect(&Settings::default(), &sources).unwrap_err().to_string();
    assert_eq!(error, "pando.toml, line 1: it is larger than 64 KiB");
}

#[test]
fn a_plan_of_an_older_row_is_read() {
    let row = r#"{"framework":"node","install_folder":"","serve":{"command":"x"},"workers":{"a":"b"},"reasons":[]}"#;
    let plan: Plan = serde_json::from_str(row).unwrap();
    assert_eq!(plan, Plan::new(Framework::Node, "", Serve::Command("x".into())));
    let row = r#"{"name":"a","schedule":"0 3 * * *","command":"b","timeout_seconds":60}"#;
    assert!(serde_json::from_str::<PlannedCron>(row).unwrap().is_on);
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
fn pages_are_served_from_where_they_are() {
    let found = detect(&Settings::default(), &sources(&["index.html"], &[])).unwrap();
    assert_eq!((found.framework, found.serve), (Framework::Static, folder("")));
    let found = detect(&Settings::default(), &sources(&["public/", "public/index.html"], &[]));
    assert_eq!(found.unwrap().serve, folder("public"));
    let settings = Settings { framework: Some(Framework::Static), ..Settings::default() };
    let none = sources(&["a.js"], &[("package.json", "{}")]);
    assert_eq!(detect(&settings, &none), Err(DetectError::NoPage));
}

#[test]
fn a_dockerfile_is_used_where_nothing_else_can_be() {
    let found = detect(&Settings::default(), &sources(&["Dockerfile"], &[])).unwrap();
    assert_eq!((found.framework, &found.serve), (Framework::Dockerfile, &image(None)));
    let found = plan(&["Dockerfile"], "{}").unwrap();
    assert_eq!((found.serve, found.dockerfile.as_deref()), (image(None), Some("Dockerfile")));
    let found = plan(&["Dockerfile", "server.js"], "{}").unwrap();
    assert_eq!(found.serve, Serve::Command("node server.js".into()));
    assert_eq!(found.dockerfile.as_deref(), Some("Dockerfile"));
    assert!(found.reasons.iter().any(|reason| reason.contains("Dockerfile is not used")));
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

fn image(command: Option<&str>) -> Serve {
    Serve::Image { command: command.map(str::to_owned) }
}

#[test]
fn versions_that_contradict_are_told_and_the_order_holds() {
    let package = r#"{"scripts":{"start":"node ."},"engines":{"node":">=18 <21"}}"#;
    let node = |texts: &[(&str, &str)]| {
        let texts = [&[("package.json", package)], texts].concat();
        detect(&Settings::default(), &sources(&[], &texts))
    };
    let found = node(&[]).unwrap();
    assert_eq!(found.tools[0].version, "20");
    assert_eq!(found.tools[0].reason, "engines.node in package.json says >=18 <21");
    assert!(found.warnings.is_empty());
    for (text, version) in [
        ("lts/iron\r\n", "20"),
        ("v20.11.1", "20.11.1"),
        ("20", "20"),
        ("20.x", "20"),
        ("Iron", "20"),
        (">=18 <21", "20"),
    ] {
        let found = node(&[(".nvmrc", text)]).unwrap();
        assert_eq!(found.tools[0].version, version, "{text}");
        assert!(found.warnings.is_empty(), "{text}: {:?}", found.warnings);
    }
    for (text, version) in [("lts/*", "26"), ("node", "26"), ("v22", "22")] {
        let found = node(&[(".nvmrc", text)]).unwrap();
        assert_eq!(found.tools[0].version, version, "{text}");
        assert_eq!(found.warnings.len(), 1, "{text}: {:?}", found.warnings);
    }
    let found =
        node(&[(".nvmrc", "18"), (".node-version", "20"), ("mise.toml", "[tools]\nnode='19'")]);
    let found = found.unwrap();
    assert_eq!(found.tools[0].version, "19");
    assert_eq!(
        found.warnings,
        [
            "mise.toml says 19, and .node-version says 20: node 19 is used.",
            "mise.toml says 19, and .nvmrc says 18: node 19 is used."
        ]
    );
    let error = node(&[(".nvmrc", "lts/unobtainium")]).unwrap_err().to_string();
    assert!(
        error.starts_with(".nvmrc says `lts/unobtainium`, which is no version of node that is known; there is 26, 24,"),
        "{error}"
    );
    assert!(error.contains("lts/iron"), "{error}");
    let error = node(&[(".nvmrc", "$(reboot)")]).unwrap_err();
    assert!(matches!(error, DetectError::Version { .. }));
}

#[test]
fn a_plan_is_the_same_after_it_was_kept() {
    let package = r#"{"dependencies":{"vite":"8"},"engines":{"node":"20"}}"#;
    let plan = plan(&["yarn.lock"], package).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

/// Such a file once ended the whole server.
#[test]
fn the_deepest_toml_fits_a_small_stack() {
    let dotted = vec!["a"; 79].join(".");
    let text = format!("x={}1{}", format!("{{{dotted}=").repeat(79), "}".repeat(79));
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let all = small.spawn(move || {
        for file in ["pyproject.toml", "Pipfile", "Cargo.toml", "mise.toml", "rust-toolchain.toml"]
        {
            let files = sources(&["main.py"], &[(file, &text), ("go.mod", "module x\n")]);
            let _ = detect(&Settings::default(), &files);
        }
    });
    all.unwrap().join().unwrap();
}

/// Names and beginnings that lead deep into the planners.
fn texts() -> impl Strategy<Value = Vec<(String, String)>> {
    let names: Vec<&str> = APP_FILES
        .iter()
        .chain(&PYTHON_APPS)
        .chain(&VERSION_FILES)
        .chain(&HEADS)
        .chain(&ABOVE_FILES)
        .copied()
        .chain(["package.json", "pando.toml"])
        .collect();
    let beginnings = prop_oneof![
        Just("{\"scripts\":{\"build\":\"x\"},\"dependencies\":{\"vite\":\"1\",\"next\":\"1\"}}"),
        Just("{\"workspaces\":[\"**\"],\"packageManager\":\"yarn@4.0.0\",\"name\":\"$(x)\"}"),
        Just("{\"projects\":{\"../x\":{\"architect\":{\"build\":{\"options\":{\"ssr\":{}}}}}}}"),
        Just("flask\nfastapi\n"),
        Just("app = FastAPI()\n"),
        Just("[package]\nname='x'\n"),
        Just("[tool.poetry]\n"),
        Just("lts/*\n"),
        Just("web: x\n"),
        Just("[web]\ncommand = 'x'\n[workers.a]\ncommand = 'a'\n[env]\nA = 'x'\n"),
        Just(""),
    ];
    let one = (proptest::sample::select(names), beginnings, any::<String>(), any::<bool>())
        .prop_map(|(name, text, more, is_more)| {
            let text = if is_more { format!("{text}{more}") } else { text.to_owned() };
            (name.to_owned(), text)
        });
    proptest::collection::vec(one, 0..8)
}

proptest! {
    #[test]
    fn any_package_json_ends_in_an_answer(text in "[ -~]{0,80}", start in any::<String>()) {
        let _ = plan(&[], &text);
        let package = serde_json::json!({ "main": start, "name": start }).to_string();
        let _ = plan(&[], &package);
    }

    #[test]
    fn any_sources_end_in_an_answer(app in texts(), above in texts(), nested: bool) {
        let pairs = |texts: &[(String, String)], path: &str| {
            let texts: Vec<_> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
            dir(path, &["a.b"], &texts)
        };
        let path = if nested { "apps/web" } else { "" };
        let above = if nested { vec![pairs(&above, "apps"), pairs(&above, "")] } else { vec![] };
        let sources = Sources { app: pairs(&app, path), above };
        let settings = Settings { host: Some("x.test".into()), ..Settings::default() };
        if let Ok(plan) = detect(&settings, &sources) {
            prop_assert!(plan.serve != Serve::Command(String::new()));
            let lines = plan.reasons.iter().chain(&plan.warnings);
            prop_assert!(!lines.clone().any(|line| line.contains(char::is_control)));
            prop_assert!(plan.build.is_none_or(|build| build.len() < 20_000));
            for tool in &plan.tools {
                let plain = |letter: char| letter.is_ascii_alphanumeric() || "._+-/:@".contains(letter);
                prop_assert!(tool.version.chars().all(plain), "{:?}", tool);
                prop_assert!(tool.name.chars().all(plain), "{:?}", tool);
            }
        }
    }
}
