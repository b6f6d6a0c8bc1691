//! What a repository is, and how it is installed, built and served: pure, from
//! names and `package.json` alone, each decision with its reason.
//!
//! [`sources`] reads what the decision needs; [`detect`] decides; [`node`] and
//! [`page`] know one kind of app each.

mod node;
mod page;
mod sources;

pub(crate) use sources::{Sources, read};

use serde::{Deserialize, Serialize};

/// What the user set; `None` where detection decides, empty for no command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub framework: Option<Framework>,
    pub install: Option<String>,
    pub build: Option<String>,
    pub start: Option<String>,
}

/// The kinds of app that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Framework {
    Node,
    Static,
}

/// How a deployment goes about it. Kept with the deployment, never with the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub framework: Framework,
    pub install: Option<String>,
    pub build: Option<String>,
    pub serve: Serve,
    /// Why, one sentence for each decision.
    pub reasons: Vec<String>,
}

/// What answers on the port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Serve {
    /// This command.
    Command(String),
    /// The files of this folder; empty for the app's own.
    Folder(String),
    /// The files of whichever of [`BUILT_FOLDERS`] the build leaves a page in.
    BuiltFolder,
}

/// Where builds leave their pages, in the order they are looked for.
pub(crate) const BUILT_FOLDERS: [&str; 3] = ["dist", "build", "out"];

/// Why there is no plan. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DetectError {
    #[error(
        "found neither package.json nor index.html {0}; set start_command, or root_directory if the app is in another folder"
    )]
    Nothing(String),
    #[error("package.json is no JSON object: {0}")]
    PackageJson(String),
    #[error(
        "{0} is there, and only npm is installed for you; set install_command to install another way"
    )]
    PackageManager(&'static str),
    #[error(
        "package.json has neither a start nor a build script, and there is no server.js, index.js or `main`; add a start script or set start_command"
    )]
    NoStart,
    #[error(
        "the framework is set to static, and there is no index.html; set build_command, or root_directory"
    )]
    NoPage,
}

/// Decides. What the user set wins everywhere.
pub(crate) fn detect(settings: &Settings, sources: &Sources) -> Result<Plan, DetectError> {
    let mut plan = match (settings.framework, &sources.package_json) {
        (Some(Framework::Static), _) => page::plan(settings, sources)?,
        (Some(Framework::Node), package) => {
            node::plan(settings, sources, package.as_deref(), "the settings say so")?
        }
        (None, Some(package)) => {
            node::plan(settings, sources, Some(package), "package.json is there")?
        }
        (None, None) if sources.has("index.html") => page::plan(settings, sources)?,
        (None, None) if !sources.page_folders.is_empty() => page::plan(settings, sources)?,
        (None, None) => match &settings.start {
            Some(_) => node::bare(),
            None => return Err(DetectError::Nothing(sources.place())),
        },
    };
    override_with(settings, &mut plan);
    Ok(plan)
}

fn override_with(settings: &Settings, plan: &mut Plan) {
    for (name, wish, command) in [
        ("Install", &settings.install, &mut plan.install),
        ("Build", &settings.build, &mut plan.build),
    ] {
        match wish.as_deref() {
            None => continue,
            Some("") => *command = None,
            Some(wish) => *command = Some(wish.to_owned()),
        }
        let what =
            command.as_deref().map_or_else(|| "nothing".into(), |command| format!("`{command}`"));
        plan.reasons.push(format!("{name}: {what}, because the settings say so."));
    }
    if let Some(start) = &settings.start {
        plan.serve = Serve::Command(start.clone());
        plan.reasons.push(format!("Start: `{start}`, because the settings say so."));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sources(names: &[&str], package_json: Option<&str>) -> Sources {
        Sources {
            folder: String::new(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            package_json: package_json.map(str::to_owned),
            page_folders: Vec::new(),
        }
    }

    fn plan(names: &[&str], package_json: &str) -> Result<Plan, DetectError> {
        detect(&Settings::default(), &sources(names, Some(package_json)))
    }

    #[test]
    fn a_node_app_with_a_lockfile() {
        let package = r#"{"scripts":{"start":"node .","build":"tsc"}}"#;
        let plan = plan(&["package.json", "package-lock.json"], package).unwrap();
        assert_eq!(plan.install.as_deref(), Some("npm ci"));
        assert_eq!(plan.build.as_deref(), Some("npm run build"));
        assert_eq!(plan.serve, Serve::Command("npm start".into()));
        assert_eq!(
            plan.reasons,
            [
                "Node app, because package.json is there.",
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
        assert_eq!(
            serve(&["lib/"], r#"{"main":"lib/it's.js"}"#),
            command(r"node 'lib/it'\''s.js'")
        );
        assert_eq!(
            serve(&["index.html", "index.js"], r#"{"scripts":{"build":"vite build"}}"#),
            Ok(Serve::BuiltFolder)
        );
        assert_eq!(serve(&["index.html"], "{}"), Ok(Serve::Folder(String::new())));
        assert_eq!(serve(&[], "{}"), Err(DetectError::NoStart));
        assert!(matches!(serve(&[], "[]"), Err(DetectError::PackageJson(_))));
        assert!(matches!(serve(&[], "{"), Err(DetectError::PackageJson(_))));
    }

    #[test]
    fn other_package_managers_are_named_and_can_be_overridden() {
        let package = r#"{"scripts":{"start":"x"}}"#;
        let names = ["pnpm-lock.yaml", "package.json"];
        assert_eq!(plan(&names, package), Err(DetectError::PackageManager("pnpm-lock.yaml")));
        let settings = Settings { install: Some("npx pnpm i".into()), ..Settings::default() };
        let plan = detect(&settings, &sources(&names, Some(package))).unwrap();
        assert_eq!(plan.install.as_deref(), Some("npx pnpm i"));
    }

    #[test]
    fn settings_win_and_empty_means_none() {
        let settings = Settings {
            install: Some(String::new()),
            build: Some("make".into()),
            start: Some("./run".into()),
            ..Settings::default()
        };
        let found = detect(&settings, &sources(&["package.json"], Some("{}"))).unwrap();
        assert_eq!(found.install, None);
        assert_eq!(found.build.as_deref(), Some("make"));
        assert_eq!(found.serve, Serve::Command("./run".into()));
        // Anything that says how it starts can be deployed.
        let found = detect(&settings, &sources(&["main.go"], None)).unwrap();
        assert_eq!(found.serve, Serve::Command("./run".into()));
        let nothing = detect(&Settings::default(), &sources(&["main.go"], None));
        assert!(matches!(nothing, Err(DetectError::Nothing(_))));
    }

    #[test]
    fn pages_are_served_from_where_they_are() {
        let found = detect(&Settings::default(), &sources(&["index.html"], None)).unwrap();
        assert_eq!(
            (found.framework, found.serve),
            (Framework::Static, Serve::Folder(String::new()))
        );
        let mut nested = sources(&["public/"], None);
        nested.page_folders = vec!["public".into()];
        let found = detect(&Settings::default(), &nested).unwrap();
        assert_eq!(found.serve, Serve::Folder("public".into()));
        let settings = Settings { framework: Some(Framework::Static), ..Settings::default() };
        assert_eq!(detect(&settings, &sources(&["a.js"], Some("{}"))), Err(DetectError::NoPage));
    }

    proptest! {
        #[test]
        fn any_package_json_ends_in_an_answer(text in "[ -~]{0,80}", start in any::<String>()) {
            let _ = plan(&["package.json"], &text);
            let package = serde_json::json!({ "main": start }).to_string();
            let _ = plan(&["package.json"], &package);
        }
    }
}
