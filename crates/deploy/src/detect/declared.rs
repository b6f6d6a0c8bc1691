//! What `pando.toml` says, found and put into a plan. What is set on the app goes before it,
//! a Procfile and all that is detected after it.

use super::plan::{Built, Health, Idle, Plan, PlannedCron, PlannedProcess, Serve};
use super::sources::Dir;
use super::{DetectError, Settings, Sources, Stage, inside, shown_command};
use crate::manifest::{FILE_NAME, Manifest, Problems, Stage as StageWishes, read};

/// How it follows on "because".
pub(super) const SAYS_SO: &str = "pando.toml says so";
/// Seconds until a run of a cron is ended, where nothing is said.
const CRON_TIMEOUT_SECS: u32 = 600;

/// The file, where there is one; else nothing that it could say.
#[derive(Debug, Default)]
pub(super) struct Declared {
    manifest: Manifest,
    /// Where it was found, if it is not in the app's folder.
    elsewhere: Option<String>,
}

/// Reads the file in the app's folder, or else that at the repository's root.
pub(super) fn find(sources: &Sources) -> Result<Declared, DetectError> {
    let root = sources.above.last().filter(|dir| dir.path.is_empty());
    let Some(dir) = [Some(&sources.app), root].into_iter().flatten().find(|dir| dir.has(FILE_NAME))
    else {
        return Ok(Declared::default());
    };
    let manifest = from(dir).map_err(DetectError::Manifest)?;
    let elsewhere = (dir.path != sources.app.path).then(|| {
        format!(
            "pando.toml of the repository's root counts, because {}/ has none.",
            sources.app.path
        )
    });
    Ok(Declared { manifest, elsewhere })
}

fn from(dir: &Dir) -> Result<Manifest, Problems> {
    let file = dir.path_of(FILE_NAME);
    match dir.text(FILE_NAME) {
        Some(text) => read(&file, text),
        None => Err(Problems::too_large(&file)),
    }
}

impl Declared {
    /// What may be set on an app, too.
    pub(super) fn settings(&self) -> Settings {
        let Manifest { build, web, resources, .. } = &self.manifest;
        Settings {
            framework: build.framework,
            install: build.install.clone(),
            build: build.command.clone(),
            start: web.command.clone(),
            folder: web.folder.clone(),
            port: web.port,
            cpu: resources.cpu,
            memory_mib: resources.memory_mb,
            ..Settings::default()
        }
    }

    /// Puts what cannot be set on an app into a plan. Pages of the framework that was found are
    /// those of a router in the browser where `single_page` is.
    pub(super) fn apply(&self, stage: Stage, single_page: bool, plan: &mut Plan) {
        plan.reasons.splice(0..0, self.elsewhere.clone());
        let Manifest { build, web, release, .. } = &self.manifest;
        if let Some(folder) = web.folder.as_deref().and_then(inside) {
            let single_page = web.single_page.unwrap_or(single_page);
            let fallback = if single_page { "; what is no file is index.html" } else { "" };
            let shown = if folder.is_empty() { "the app's folder" } else { &folder };
            plan.because(&format!("Serves the files of {shown}{fallback}"), SAYS_SO);
            plan.serve = Serve::BuiltFolder(Built { folders: vec![folder], single_page });
        }
        if let Some(command) = &release.command {
            let command = Some(command.clone()).filter(|command| !command.is_empty());
            plan.because(&format!("Release: {}", shown_command(command.as_deref())), SAYS_SO);
            plan.release = command;
        }
        self.health(plan);
        self.workers(plan);
        let wishes = match stage {
            Stage::Production => &self.manifest.production,
            Stage::Preview => &self.manifest.preview,
        };
        self.cron(stage, wishes, plan);
        self.env(wishes, plan);
        if !build.secrets.is_empty() {
            plan.build_secrets.clone_from(&build.secrets);
            plan.build_secrets.sort();
            plan.build_secrets.dedup();
            let names = plan.build_secrets.join(", ");
            plan.because(&format!("Only install and build see {names}"), SAYS_SO);
        }
        if let Some(minutes) = wishes.idle_minutes {
            let (idle, when) = match minutes {
                0 => (Idle::Never, "never".to_owned()),
                minutes => {
                    let seconds = minutes.saturating_mul(60);
                    (Idle::After { seconds }, format!("after {minutes} minutes without use"))
                }
            };
            plan.because(&format!("Sleep: {when}"), SAYS_SO);
            plan.idle = Some(idle);
        }
    }

    fn health(&self, plan: &mut Plan) {
        let wishes = &self.manifest.web.health;
        let health = Health {
            protocol: wishes.protocol.unwrap_or_default(),
            path: wishes.path.clone().unwrap_or_else(|| Health::default().path),
            grace_seconds: wishes.grace_seconds,
        };
        if health != plan.health {
            plan.because(&format!("Health: {health}"), SAYS_SO);
            plan.health = health;
        }
    }

    /// They are in place of the Procfile's: what the file does not name is not run.
    fn workers(&self, plan: &mut Plan) {
        let Some(workers) = &self.manifest.workers else { return };
        if !plan.processes.is_empty() {
            let names: Vec<_> =
                plan.processes.iter().map(|process| process.name.as_str()).collect();
            let what = format!("Not run: {} of the Procfile", names.join(", "));
            plan.because(&what, "pando.toml has workers of its own");
        }
        plan.processes.clear();
        for (name, worker) in workers {
            let command = worker.command.clone();
            plan.because(&format!("Process {name}: `{command}`"), SAYS_SO);
            plan.processes.push(PlannedProcess { name: name.clone(), command });
        }
    }

    fn cron(&self, stage: Stage, wishes: &StageWishes, plan: &mut Plan) {
        let all = &self.manifest.cron;
        let is_on = wishes.cron.unwrap_or(stage == Stage::Production);
        if !is_on && !all.is_empty() {
            let names = all.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let why = match (wishes.cron, stage) {
                (Some(_), _) => SAYS_SO,
                (None, _) => "this is a preview, and pando.toml has no `cron = true` in [preview]",
            };
            plan.because(&format!("Not run at its times: cron {names}"), why);
        }
        for (name, cron) in all {
            let (schedule, command) = (cron.schedule.split_whitespace(), cron.command.clone());
            let schedule = schedule.collect::<Vec<_>>().join(" ");
            if is_on {
                plan.because(&format!("Cron {name}: `{command}` at `{schedule}`"), SAYS_SO);
            }
            let timeout_seconds = cron.timeout_seconds.unwrap_or(CRON_TIMEOUT_SECS);
            let name = name.clone();
            plan.cron.push(PlannedCron { name, schedule, command, timeout_seconds, is_on });
        }
    }

    /// Values are not said: a log is read by more people than a repository.
    fn env(&self, wishes: &StageWishes, plan: &mut Plan) {
        let mut env = self.manifest.env.clone();
        env.extend(wishes.env.clone());
        if env.is_empty() {
            return;
        }
        let names = env.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        plan.because(&format!("Environment: {names}"), SAYS_SO);
        plan.env.extend(env);
    }
}
