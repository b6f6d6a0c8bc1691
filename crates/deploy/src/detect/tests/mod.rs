//! What is detected in small trees. Real repositories are in `fixtures`; `settings` has what
//! is asked for, `hostile` what is sent to do harm.

mod hostile;
mod settings;

use super::plan::Built;
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
