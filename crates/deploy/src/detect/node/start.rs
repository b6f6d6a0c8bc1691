//! What serves a Node app: a script, the framework's server, the pages of a build,
//! or a file.

use super::super::facts::Facts;
use super::super::plan::{Built, Pages, Plan, Serve};
use super::super::rules::{BUILT_FOLDERS, Rule};
use super::super::sources::Dir;
use super::super::text::{quoted, shown};
use super::super::workspace::pnpm_packages;
use super::super::{DetectError, Framework};
use super::Package;
use super::manager::{Manager, Name};
use super::output::{self, Output};

/// Files that start a server, in the order they are looked for.
const SERVERS: &[&str] = &["server.js", "server.mjs", "server.cjs"];
/// The same, where no build has them for its input.
const INDEXES: &[&str] = &[
    "index.js",
    "index.mjs",
    "index.cjs",
    "app.js",
    "src/server.js",
    "src/index.js",
    "src/app.js",
];
/// What Bun runs as it is.
const BUN_FILES: &[&str] = &[
    "server.ts",
    "src/server.ts",
    "index.ts",
    "src/index.ts",
    "index.tsx",
    "src/index.tsx",
    "app.ts",
    "src/app.ts",
    "main.ts",
    "src/main.ts",
];

/// How many apps of a monorepo are named to its owner.
const MAX_APPS: usize = 10;

pub(super) fn decide(
    rule: &Rule,
    facts: &Facts<'_>,
    package: Option<&Package>,
    manager: &Manager,
    plan: &mut Plan,
) -> Result<(), DetectError> {
    let output = output::of(rule, facts, plan);
    if let Some(script) = script(rule, package, plan) {
        let why = format!("package.json has a {script} script");
        plan.starts(manager.script(&script), why);
        return Ok(());
    }
    match output {
        Output::Server(line, why) if !line.is_empty() => {
            let command = match line.strip_prefix("node ") {
                Some(rest) => manager.node(rest),
                None => manager.program(&line),
            };
            plan.starts(command, why);
            Ok(())
        }
        Output::Pages(built, why) => {
            pages(built, &why, plan);
            Ok(())
        }
        Output::Server(..) => file(rule, facts, package, manager, plan),
    }
}

fn pages(built: Built, why: &str, plan: &mut Plan) {
    let folders = built.folders.join(", ");
    let fallback = if built.single_page { "; what is no file is index.html" } else { "" };
    plan.because(&format!("Serves the pages that the build leaves in {folders}{fallback}"), why);
    plan.serve = Serve::BuiltFolder(built);
}

/// The script that serves in production.
fn script(rule: &Rule, package: Option<&Package>, plan: &mut Plan) -> Option<String> {
    let package = package?;
    let wanted = rule.web.scripts.iter().find(|name| package.script(name).is_some());
    if let Some(wanted) = wanted {
        return Some((*wanted).to_owned());
    }
    let of_project =
        (rule.framework == Framework::Angular).then(|| package.script_with("serve:ssr")).flatten();
    if let Some(name) = of_project {
        return Some(name.to_owned());
    }
    let start = package.script("start")?;
    let command = first_command(start);
    let is_unfit = rule.web.unfit.iter().any(|unfit| {
        command.strip_prefix(unfit).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    });
    // Without a build, there is nothing to serve in its place.
    let has_other = !rule.web.build.is_empty() || plan.build.is_some();
    if is_unfit && has_other {
        plan.reasons.push(format!(
            "The start script `{}` is not used, because it is not {} serving in production on $PORT.",
            shown(start),
            rule.label
        ));
        return None;
    }
    Some("start".to_owned())
}

/// The first command of a script, without what only sets its environment or finds it.
fn first_command(script: &str) -> String {
    let first = script.split(['&', ';', '|']).next().unwrap_or_default();
    let is_setting = |word: &str| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    };
    let words = first.split_whitespace().skip_while(|word| {
        is_setting(word) || matches!(*word, "cross-env" | "npx" | "bunx" | "env" | "dotenv" | "--")
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A file of the repository that serves.
fn file(
    rule: &Rule,
    facts: &Facts<'_>,
    package: Option<&Package>,
    manager: &Manager,
    plan: &mut Plan,
) -> Result<(), DetectError> {
    let dir = &facts.sources.app;
    if let Some(output) = super::build::nx_output(facts) {
        let file = quoted(&format!("{}{output}/main.js", facts.way_up()));
        plan.starts(manager.node(&file), "project.json names its folder as outputPath");
        return Ok(());
    }
    let build = facts.settings.build.as_deref();
    let builds = build.map_or(plan.build.is_some(), |wish| !wish.is_empty());
    let main = package.and_then(|package| package.text(&["main"]));
    // npm writes `index.js` where nothing is: only what a build may make need not be there.
    let main = main.filter(|main| builds || main.contains('/') || is_there(dir, main));
    let found = main
        .map(|main| (main, "package.json names it as `main`"))
        .or_else(|| Some((dir.first(SERVERS)?, "it is there")))
        .or_else(|| {
            let is_bun = rule.framework == Framework::Bun;
            let files = if is_bun { [BUN_FILES, INDEXES].concat() } else { INDEXES.to_vec() };
            // What a build makes goes before a mere index.js: that may be its input.
            (is_bun || !builds).then(|| dir.first(&files).map(|file| (file, "it is there")))?
        });
    if let Some((program, why)) = found {
        let program = quoted(program);
        let command = if rule.framework == Framework::Bun && manager.name == Name::Bun {
            format!("bun run {program}")
        } else {
            manager.node(&program)
        };
        plan.starts(command, format!("{why} and there is no start script"));
        return Ok(());
    }
    let is_root = package.is_some_and(|package| !package.workspaces().is_empty())
        || facts
            .sources
            .text("pnpm-workspace.yaml")
            .is_some_and(|it| !pnpm_packages(it).is_empty());
    if is_root && facts.settings.build.is_none() && !dir.has("index.html") {
        return Err(DetectError::Monorepo { apps: apps(dir) });
    }
    if builds {
        let folders = BUILT_FOLDERS.iter().map(|folder| (*folder).to_owned()).collect();
        plan.reasons.push(format!(
            "Serves the page that the build leaves in one of {}, because there is no start script.",
            BUILT_FOLDERS.join(", ")
        ));
        plan.serve = Serve::BuiltFolder(Built { folders, single_page: false });
        return Ok(());
    }
    if dir.has("index.html") {
        plan.reasons.push(
            "Serves the files as they are, because index.html is there and nothing starts.".into(),
        );
        plan.serve = Serve::Folder(Pages::default());
        return Ok(());
    }
    Err(DetectError::NoStart)
}

fn is_there(dir: &Dir, main: &str) -> bool {
    let main = main.trim_start_matches("./");
    dir.has(main) || dir.has(&format!("{main}.js")) || dir.has(&format!("{main}/"))
}

/// The folders of a monorepo that may be meant, as the end of a sentence.
fn apps(dir: &Dir) -> String {
    let folders = ["apps/", "packages/"].iter().find(|folder| dir.has(folder));
    let apps = dir.names.iter().filter(|name| {
        folders.is_some_and(|folder| name.len() > folder.len() && name.starts_with(folder))
            && name.ends_with('/')
    });
    let apps: Vec<&str> = apps.map(|name| name.trim_end_matches('/')).take(MAX_APPS).collect();
    if apps.is_empty() { String::new() } else { format!(": {}", shown(&apps.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_a_script() {
        assert_eq!(
            first_command("cross-env NODE_ENV=production next start -p 3000"),
            "next start -p 3000"
        );
        assert_eq!(first_command("PORT=1 npx vite && echo"), "vite");
        assert_eq!(first_command(""), "");
    }
}
