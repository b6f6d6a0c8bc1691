//! What a repository is, and how it is installed, built and served: pure, from names
//! and bounded texts alone, each decision with its reason. Users read of it in
//! `docs/detection.md`.
//!
//! [`files`] is what is looked at and [`sources`] reads it; [`rules`] is which
//! frameworks there are and by which [`signs`] they are known; [`tools`] chooses
//! versions. The planners ([`node`], [`python`], [`go`] …) know one language each.
//! Read [`plan`] first, then [`detect`].
//!
//! Whatever a repository holds, detection ends: texts, lists and depths are bounded,
//! nothing backtracks, and what is put into a command is quoted or of plain letters.

mod deno;
mod elixir;
mod error;
mod facts;
mod files;
#[cfg(test)]
mod fixtures;
mod framework;
mod glob;
mod go;
mod java;
mod node;
mod page;
mod php;
mod plan;
mod procfile;
mod python;
mod range;
mod ruby;
mod rules;
mod rust;
mod signs;
mod sources;
#[cfg(test)]
mod tests;
mod text;
mod tools;
mod workspace;

pub(crate) use error::DetectError;
pub(crate) use framework::Framework;
pub(crate) use plan::{Pages, Plan, PlannedProcess, Serve, Tool};
pub(crate) use sources::{Sources, read};
pub(crate) use text::quoted;

use facts::Facts;
use framework::Family;
use rules::Rule;

/// What the user set; `None` where detection decides, empty for no command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub framework: Option<Framework>,
    pub install: Option<String>,
    pub build: Option<String>,
    pub start: Option<String>,
    /// The host that the app is reached by, without a port; for servers that refuse others.
    pub host: Option<String>,
}

/// Files that an image is built from.
const DOCKERFILES: [&str; 2] = ["Dockerfile", "Containerfile"];

/// Decides. What the user set wins everywhere.
pub(crate) fn detect(settings: &Settings, sources: &Sources) -> Result<Plan, DetectError> {
    if sources.app.names.is_empty() && !sources.app.path.is_empty() {
        return Err(DetectError::NoFolder(sources.app.path.clone()));
    }
    let family = settings.framework.map(Framework::family);
    let reads_package = family.is_none_or(|family| family == Family::Node);
    let facts = Facts::gather(settings, sources, reads_package)?;
    let dockerfile = sources.app.first(&DOCKERFILES);
    let found = match settings.framework {
        Some(framework) => {
            rules::of(framework, &facts).map(|rule| (rule, "the settings say so".to_owned()))
        }
        None => rules::find(&facts),
    };
    let mut plan = match found {
        Some((rule, why)) => match by(rule, &facts, &why) {
            // An image may be all that there is, beside a package.json of tools.
            Err(error)
                if settings.framework.is_none()
                    && dockerfile.is_some()
                    && !matches!(error, DetectError::Version { .. }) =>
            {
                let mut plan = image(&facts)?;
                plan.reasons.push(format!("Without it, there would be no way: {error}."));
                plan
            }
            plan => plan?,
        },
        None if facts.starts_itself() => bare(&facts),
        None => return Err(DetectError::Nothing(sources.place())),
    };
    plan.dockerfile = dockerfile.map(str::to_owned);
    if let (Some(file), false) = (dockerfile, plan.serve == Serve::Image) {
        plan.reasons.push(format!(
            "The {file} is not used, because the app can be built without it; set the framework to dockerfile to use it."
        ));
    }
    processes(&facts, &mut plan);
    override_with(settings, &mut plan);
    tools::add_others(&facts, &mut plan);
    // Each is a line of the log, and no file may begin another.
    for line in plan.reasons.iter_mut().chain(&mut plan.warnings) {
        *line = line.replace(char::is_control, " ");
    }
    Ok(plan)
}

fn by(rule: &Rule, facts: &Facts<'_>, why: &str) -> Result<Plan, DetectError> {
    match rule.framework.family() {
        Family::Node => node::plan(rule, facts, why),
        // Some build their pages with npm.
        Family::Page if !rule.web.pages.is_empty() => node::plan(rule, facts, why),
        Family::Page => page::plan(facts),
        Family::Python => python::plan(rule, facts, why),
        Family::Go => go::plan(rule, facts, why),
        Family::Rust => rust::plan(rule, facts, why),
        Family::Ruby => ruby::plan(rule, facts, why),
        Family::Php => php::plan(rule, facts, why),
        Family::Elixir => elixir::plan(rule, facts, why),
        Family::Java => java::plan(rule, facts, why),
        Family::Deno => deno::plan(rule, facts, why),
        Family::Procfile if facts.starts_itself() => {
            let mut plan = bare(facts);
            plan.framework = Framework::Procfile;
            Ok(plan)
        }
        Family::Procfile => Err(DetectError::NoWeb),
        Family::Dockerfile => image(facts),
    }
}

/// A folder with nothing that is known, and a start command from elsewhere.
fn bare(facts: &Facts<'_>) -> Plan {
    let start = Serve::Command(String::new());
    let mut plan = Plan::new(Framework::Node, &facts.sources.app.path, start);
    let who = if facts.settings.start.is_some() { "the settings say" } else { "the Procfile says" };
    plan.reasons.push(format!("Nothing here is known: only what {who}."));
    plan
}

fn image(facts: &Facts<'_>) -> Result<Plan, DetectError> {
    let file = facts.sources.app.first(&DOCKERFILES).ok_or(DetectError::NoFile("Dockerfile"))?;
    let mut plan = Plan::new(Framework::Dockerfile, &facts.sources.app.path, Serve::Image);
    plan.because("Dockerfile", format!("{file} is there"));
    plan.dockerfile = Some(file.to_owned());
    Ok(plan)
}

/// What a Procfile says: its web line wins over the framework's.
fn processes(facts: &Facts<'_>, plan: &mut Plan) {
    if let (Some(web), None) = (&facts.procfile.web, &facts.settings.start) {
        plan.starts(web, "the Procfile has a web line");
    }
    if let Some(release) = &facts.procfile.release {
        plan.because(&format!("Release: `{release}`"), "the Procfile has a release line");
        plan.release = Some(release.clone());
    }
    for (name, command) in &facts.procfile.workers {
        plan.because(&format!("Process {name}: `{command}`"), "the Procfile has a line of it");
        plan.processes.push(PlannedProcess { name: name.clone(), command: command.clone() });
    }
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
        plan.starts(start, "the settings say so");
    }
}
