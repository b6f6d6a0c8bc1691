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

mod declared;
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
mod reads;
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
pub(crate) use plan::{
    Container, Health, Idle, Pages, Plan, PlannedCron, PlannedProcess, Protocol, Serve, Tool,
};
pub(crate) use sources::{Sources, read};
pub(crate) use text::{inside, quoted, shown};

use facts::Facts;
use framework::Family;
use rules::Rule;

/// What the user set on the app, or in `pando.toml`; `None` where detection decides, empty for
/// no command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub framework: Option<Framework>,
    pub install: Option<String>,
    pub build: Option<String>,
    pub start: Option<String>,
    /// Files to serve instead of a command; in `pando.toml` alone.
    pub folder: Option<String>,
    pub port: Option<u16>,
    pub cpu: Option<u32>,
    pub memory_mib: Option<u32>,
    pub stage: Stage,
    /// The host that the app is reached by, without a port; for servers that refuse others.
    pub host: Option<String>,
}

/// Which of its lives an app is deployed for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    #[default]
    Production,
    /// That of a pull request.
    Preview,
}

impl Settings {
    /// These, and where they say nothing, others.
    fn or(&self, others: Self) -> Self {
        let serves = self.start.is_some();
        Self {
            framework: self.framework.or(others.framework),
            install: self.install.clone().or(others.install),
            build: self.build.clone().or(others.build),
            start: self.start.clone().or(others.start),
            folder: self.folder.clone().or(others.folder).filter(|_| !serves),
            port: self.port.or(others.port),
            cpu: self.cpu.or(others.cpu),
            memory_mib: self.memory_mib.or(others.memory_mib),
            stage: self.stage,
            host: self.host.clone(),
        }
    }

    /// Whether they say what serves.
    fn starts(&self) -> bool {
        self.start.is_some() || self.folder.is_some()
    }
}

/// How it follows on "because".
const SETTINGS_SAY_SO: &str = "the settings say so";

/// Files that an image is built from.
const DOCKERFILES: [&str; 2] = ["Dockerfile", "Containerfile"];

/// Decides. What the user set wins everywhere: on the app first, then in `pando.toml`.
pub(crate) fn detect(settings: &Settings, sources: &Sources) -> Result<Plan, DetectError> {
    if sources.app.names.is_empty() && !sources.app.path.is_empty() {
        return Err(DetectError::NoFolder(sources.app.path.clone()));
    }
    let declared = declared::find(sources)?;
    let in_file = declared.settings();
    let wishes = settings.or(in_file.clone());
    let family = wishes.framework.map(Framework::family);
    let reads_package = family.is_none_or(|family| family == Family::Node);
    let facts = Facts::gather(&wishes, sources, reads_package)?;
    let dockerfile = sources.app.first(&DOCKERFILES);
    let found = match wishes.framework {
        Some(framework) => rules::of(framework, &facts).map(|rule| {
            let is_set = settings.framework.is_some();
            (rule, if is_set { SETTINGS_SAY_SO } else { declared::SAYS_SO }.to_owned())
        }),
        None => rules::find(&facts),
    };
    let single_page = found.as_ref().is_some_and(|(rule, _)| rule.web.single_page);
    let mut plan = match found {
        Some((rule, why)) => match by(rule, &facts, &why) {
            // An image may be all that there is, beside a package.json of tools.
            Err(error)
                if wishes.framework.is_none()
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
    if let (Some(file), false) = (dockerfile, plan.is_image()) {
        plan.reasons.push(format!(
            "The {file} is not used, because the app can be built without it; set the framework to dockerfile to use it."
        ));
    }
    processes(&facts, &mut plan);
    override_with(&in_file, declared::SAYS_SO, &mut plan);
    declared.apply(settings.stage, single_page, &mut plan);
    override_with(settings, SETTINGS_SAY_SO, &mut plan);
    if plan.is_image() {
        only_image(&mut plan);
    } else {
        tools::add_others(&facts, &mut plan);
    }
    plan.install_reads_all = reads::all(&facts, &plan);
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

/// A folder with nothing that is known, and what serves from elsewhere.
fn bare(facts: &Facts<'_>) -> Plan {
    let start = Serve::Command(String::new());
    let serves_files = facts.settings.folder.is_some();
    let framework = if serves_files { Framework::Static } else { Framework::Node };
    let mut plan = Plan::new(framework, &facts.sources.app.path, start);
    plan.reasons.push("Nothing here is known: only what is said of it.".into());
    plan
}

fn image(facts: &Facts<'_>) -> Result<Plan, DetectError> {
    let file = facts.sources.app.first(&DOCKERFILES).ok_or(DetectError::NoFile("Dockerfile"))?;
    let serve = Serve::Image { command: None };
    let mut plan = Plan::new(Framework::Dockerfile, &facts.sources.app.path, serve);
    plan.because("Docker image", format!("{file} is there"));
    plan.dockerfile = Some(file.to_owned());
    Ok(plan)
}

/// All that an image needs is done by its Dockerfile.
fn only_image(plan: &mut Plan) {
    for (what, command) in [("install", plan.install.take()), ("build", plan.build.take())] {
        if let Some(command) = command {
            plan.warn(format!(
                "The {what} command `{command}` is not run, because the Dockerfile does all of it; \
                 set another framework to do without the Dockerfile."
            ));
        }
    }
}

/// What a Procfile says: its web line wins over the framework's.
fn processes(facts: &Facts<'_>, plan: &mut Plan) {
    if let (Some(web), false) = (&facts.procfile.web, facts.settings.starts()) {
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

fn override_with(settings: &Settings, who: &str, plan: &mut Plan) {
    for (name, wish, command) in [
        ("Install", &settings.install, &mut plan.install),
        ("Build", &settings.build, &mut plan.build),
    ] {
        let Some(wish) = wish else { continue };
        *command = Some(wish.clone()).filter(|wish| !wish.is_empty());
        let what = shown_command(command.as_deref());
        plan.reasons.push(format!("{name}: {what}, because {who}."));
    }
    if let Some(start) = &settings.start {
        plan.starts(start, who);
    }
    if let Some(port) = settings.port {
        plan.because(&format!("Port {port}"), who);
        plan.port = Some(port);
    }
    if let Some(cpu) = settings.cpu {
        plan.because(&format!("Size: {cpu} vCPUs"), who);
        plan.resources.cpu = Some(cpu);
    }
    if let Some(memory_mib) = settings.memory_mib {
        plan.because(&format!("Size: {memory_mib} MiB of memory"), who);
        plan.resources.memory_mib = Some(memory_mib);
    }
}

fn shown_command(command: Option<&str>) -> String {
    command.map_or_else(|| "nothing".into(), |command| format!("`{command}`"))
}
