//! Apps of `package.json`.
//!
//! [`manager`] chooses who installs, [`build`] how it is built, [`output`] whether that
//! leaves pages or a server, [`start`] what serves; [`beside`] is for backends of other
//! languages whose assets need a `package.json`.

pub(super) mod beside;
mod build;
mod manager;
mod output;
mod package;
mod start;

pub(super) use package::Package;

use super::facts::Facts;
use super::plan::{Plan, Serve};
use super::rules::Rule;
use super::{DetectError, Framework, tools};

/// Hosts that a server answers to are limited by these: where it runs, the app's own is added.
const VITE_HOSTS: &str = "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS";
const ANGULAR_HOSTS: &str = "NG_ALLOWED_HOSTS";

pub(super) fn plan(rule: &Rule, facts: &Facts<'_>, why: &str) -> Result<Plan, DetectError> {
    let start = Serve::Command(String::new());
    let mut plan = Plan::new(rule.framework, &facts.sources.app.path, start);
    plan.because(rule.label, why);
    // In Nx, one package.json may be that of all projects.
    let shared = facts.workspace.as_ref().map(|workspace| &workspace.package);
    let package = facts.package.as_ref().or(shared);
    let is_bun_alone = rule.framework == Framework::Bun && !runs_node(package);
    if !is_bun_alone {
        tools::add(&tools::NODE, facts, &mut plan)?;
    }
    let manager = manager::choose(facts, rule.framework, &mut plan)?;
    if package.is_some() {
        install(facts, &manager, &mut plan);
    }
    build::decide(rule, facts, package, &manager, &mut plan);
    if !facts.starts_itself() {
        let own = facts.package.as_ref();
        start::decide(rule, facts, own, &manager, &mut plan)?;
        nx(facts, &mut plan);
    }
    env(rule, facts, package, &mut plan);
    if !manager.is_pnp {
        plan.path = vec!["node_modules/.bin".into()];
        if facts.workspace.is_some() {
            plan.path.push(format!("{}node_modules/.bin", facts.way_up()));
        }
    }
    Ok(plan)
}

/// What package managers run of a project's own scripts when they install for it (npm's
/// documentation of scripts, "Life Cycle Operation Order"), in that order.
pub(super) const INSTALL_HOOKS: [&str; 5] =
    ["preinstall", "install", "postinstall", "preprepare", "prepare"];

fn install(facts: &Facts<'_>, manager: &manager::Manager, plan: &mut Plan) {
    let (command, mut why) = manager.install();
    if let Some(workspace) = &facts.workspace {
        plan.install_folder.clone_from(&workspace.root.path);
        why = format!("{why} and {} has the app in its workspace", workspace.file);
    }
    plan.installs(command, why);
    let package = facts.workspace.as_ref().map(|workspace| &workspace.package);
    let package = package.or(facts.package.as_ref());
    let has = |hook: &&&str| package.is_some_and(|package| package.script(hook).is_some());
    let hooks: Vec<_> =
        INSTALL_HOOKS.iter().filter(has).map(|hook| manager.run_script(hook)).collect();
    plan.install_hooks = (!hooks.is_empty()).then(|| hooks.join(" && "));
}

/// Whether a script calls Node by its name.
fn runs_node(package: Option<&Package>) -> bool {
    let script = |name| package.and_then(|package| package.script(name));
    ["start", "build"]
        .into_iter()
        .filter_map(script)
        .any(|script| script.split_whitespace().any(|word| matches!(word, "node" | "npm" | "npx")))
}

/// What Nx builds goes to the workspace's root.
fn nx(facts: &Facts<'_>, plan: &mut Plan) {
    let Some(output) = build::nx_output(facts) else { return };
    let output = format!("{}{output}", facts.way_up());
    if let Serve::BuiltFolder(built) = &mut plan.serve {
        built.folders.insert(0, format!("{output}/browser"));
        built.folders.insert(1, output.clone());
        let why = "project.json names it as outputPath";
        plan.because(&format!("The pages are in {output}"), why);
    }
}

/// What makes servers answer to the app's host, on every address.
fn env(rule: &Rule, facts: &Facts<'_>, package: Option<&Package>, plan: &mut Plan) {
    let is_command = matches!(plan.serve, Serve::Command(_));
    if rule.framework == Framework::Nextjs && is_command {
        // The server of a standalone build takes it for the address to listen on.
        plan.sets("HOSTNAME", "0.0.0.0");
    }
    if rule.framework == Framework::Sveltekit && is_command {
        // A form that was sent from its own origin is refused otherwise. The edge sets both.
        plan.sets("PROTOCOL_HEADER", "x-forwarded-proto");
        plan.sets("HOST_HEADER", "x-forwarded-host");
    }
    let depends = |name: &str| {
        facts.depends_on(name) || package.is_some_and(|package| package.depends_on(name))
    };
    // Also where the user's own start command runs it.
    let limited = [("vite", VITE_HOSTS), ("@angular/ssr", ANGULAR_HOSTS)];
    for (name, variable) in limited {
        if !depends(name) {
            continue;
        }
        match &facts.settings.host {
            Some(host) => {
                plan.sets(variable, host);
                if is_command {
                    let why = format!("servers of {name} refuse hosts that they do not know");
                    plan.because(&format!("{variable} is {host}"), why);
                }
            }
            None => plan.warn(format!(
                "Servers of {name} refuse hosts that they do not know: set {variable} to the app's host."
            )),
        }
    }
}
