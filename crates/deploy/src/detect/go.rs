//! Go.

use super::facts::Facts;
use super::plan::{Plan, Serve};
use super::rules::Rule;
use super::text::quoted;
use super::{DetectError, tools};

/// Where the build leaves its program: nobody's own file is there.
const PROGRAM: &str = "bin/pando-app";
/// Commands that are likely the server, where there are more.
const SERVERS: [&str; 6] = ["server", "api", "web", "app", "http", "main"];

pub(super) fn plan(rule: &Rule, facts: &Facts<'_>, why: &str) -> Result<Plan, DetectError> {
    let sources = facts.sources;
    let start = Serve::Command(String::new());
    let mut plan = Plan::new(rule.framework, &sources.app.path, start);
    plan.because(rule.label, why);
    tools::add(&tools::GO, facts, &mut plan)?;
    if !sources.has("vendor/") && sources.has("go.mod") {
        plan.installs("go mod download", "go.mod is there, and no vendor folder");
    }
    let commands: Vec<&str> = sources
        .app
        .names
        .iter()
        .filter_map(|name| name.strip_prefix("cmd/")?.strip_suffix('/'))
        .filter(|name| !name.is_empty())
        .collect();
    let (package, why) = if sources.has("main.go") {
        (".".to_owned(), "main.go is there".to_owned())
    } else if let Some(server) = SERVERS.iter().find(|server| commands.contains(server)) {
        (format!("./cmd/{server}"), format!("cmd/{server} is there, and no main.go"))
    } else if let [one] = commands[..] {
        (quoted(&format!("./cmd/{one}")), format!("cmd/{one} is the only command"))
    } else if sources.has("cmd/main.go") {
        ("./cmd".to_owned(), "cmd/main.go is there".to_owned())
    } else if commands.is_empty() {
        (".".to_owned(), "there is no folder cmd".to_owned())
    } else if facts.starts_itself() && facts.settings.build.is_some() {
        return Ok(plan);
    } else {
        return Err(DetectError::ManyPrograms {
            what: "commands in cmd",
            names: super::text::shown(&commands.join(", ")),
            fix: "set build_command and start_command to those of one",
        });
    };
    plan.builds(format!("go build -o {PROGRAM} {package}"), why);
    plan.starts(format!("./{PROGRAM}"), "that is what the build leaves");
    Ok(plan)
}
