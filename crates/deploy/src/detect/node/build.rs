//! How a Node app is built: by its script, with the filter of the monorepo it is in.

use serde_json::Value;

use super::super::facts::Facts;
use super::super::plan::Plan;
use super::super::rules::Rule;
use super::super::sources::Dir;
use super::super::text::quoted;
use super::Package;
use super::manager::Manager;

/// The longest name of a project.
const MAX_NAME_BYTES: usize = 256;

pub(super) fn decide(
    rule: &Rule,
    facts: &Facts<'_>,
    package: Option<&Package>,
    manager: &Manager,
    plan: &mut Plan,
) {
    if let Some(workspace) = &facts.workspace
        && in_workspace(workspace.root, &workspace.package, facts, manager, plan)
    {
        return;
    }
    if package.is_some_and(|package| package.script("build").is_some()) {
        plan.builds(manager.script("build"), "package.json has a build script");
    } else if !rule.web.build.is_empty() && package.is_some() {
        let why = format!("that is how {} builds and there is no build script", rule.label);
        plan.builds(manager.program(rule.web.build), why);
    }
}

/// Whether the workspace knows how to build one of its members.
fn in_workspace(
    root: &Dir,
    root_package: &Package,
    facts: &Facts<'_>,
    manager: &Manager,
    plan: &mut Plan,
) -> bool {
    let own = facts.package.as_ref();
    let has_script = own.is_some_and(|package| package.script("build").is_some());
    let has = |tool: &str| {
        root_package.depends_on(tool) || own.is_some_and(|package| package.depends_on(tool))
    };
    if root.has("nx.json") && has("nx") && (has_script || facts.sources.has("project.json")) {
        let name = nx_name(facts).unwrap_or_default();
        if !name.is_empty() {
            let command = manager.root_program(&format!("nx run {}:build", quoted(&name)));
            plan.builds(command, format!("{} is there", root.path_of("nx.json")));
            return true;
        }
    }
    let Some(name) = own.and_then(Package::name).filter(|_| has_script) else { return false };
    if root.has("turbo.json") && has("turbo") {
        let command = manager.root_program(&format!("turbo run build --filter={}", quoted(name)));
        plan.builds(command, format!("{} is there", root.path_of("turbo.json")));
        return true;
    }
    let why = format!(
        "package.json has a build script, and {} has the app in its workspace",
        facts.workspace.as_ref().map_or("", |workspace| &workspace.file)
    );
    plan.builds(manager.build_member(name), why);
    true
}

/// The project's name in Nx.
fn nx_name(facts: &Facts<'_>) -> Option<String> {
    let project = facts.sources.text("project.json");
    let project: Option<Value> = project.and_then(|text| serde_json::from_str(text).ok());
    let named = project.and_then(|project| Some(project.get("name")?.as_str()?.to_owned()));
    let package = facts.package.as_ref();
    named
        .or_else(|| package?.text(&["nx", "name"]).map(str::to_owned))
        .or_else(|| package?.name().map(str::to_owned))
        .or_else(|| facts.sources.app.path.rsplit('/').next().map(str::to_owned))
        .filter(|name| name.len() <= MAX_NAME_BYTES)
}

/// Where Nx puts what it builds, from the repository's root of the workspace.
pub(super) fn nx_output(facts: &Facts<'_>) -> Option<String> {
    let text = facts.sources.text("project.json")?;
    let project: Value = serde_json::from_str(text).ok()?;
    let path = project.get("targets")?.get("build")?.get("options")?.get("outputPath")?;
    let path = path.as_str().or_else(|| path.get("base")?.as_str())?;
    let path = path.replace("{workspaceRoot}/", "");
    let path = path.replace("{projectRoot}", &facts.workspace.as_ref()?.member);
    super::super::text::inside(&path)
}
