//! The package manager: which one, in which version, and how it is told things.

use super::super::facts::Facts;
use super::super::plan::Plan;
use super::super::range::{Range, Tilde};
use super::super::sources::Dir;
use super::super::text::{quoted, shown};
use super::super::{DetectError, Framework, tools, workspace};
use super::Package;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Npm,
    Pnpm,
    Yarn,
    Bun,
}

/// Lockfiles and whose they are, the first over the later: npm's is last, because `npm install`
/// by mistake leaves one beside another's.
const LOCKFILES: [(&str, Name); 6] = [
    ("pnpm-lock.yaml", Name::Pnpm),
    ("yarn.lock", Name::Yarn),
    ("bun.lock", Name::Bun),
    ("bun.lockb", Name::Bun),
    ("package-lock.json", Name::Npm),
    ("npm-shrinkwrap.json", Name::Npm),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::detect) struct Manager {
    pub(super) name: Name,
    lockfile: Option<&'static str>,
    /// Yarn 2 and later.
    is_berry: bool,
    /// Yarn without node_modules: programs find their packages through it alone.
    pub(super) is_pnp: bool,
    /// The major version of Yarn that is used.
    is_yarn_4: bool,
}

impl Name {
    const fn text(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn => "yarn",
            Self::Bun => "bun",
        }
    }

    fn named(text: &str) -> Option<Self> {
        [Self::Npm, Self::Pnpm, Self::Yarn, Self::Bun].into_iter().find(|name| name.text() == text)
    }

    const fn kind(self) -> &'static tools::Kind {
        match self {
            Self::Npm => &tools::NPM,
            Self::Pnpm => &tools::PNPM,
            Self::Yarn => &tools::YARN,
            Self::Bun => &tools::BUN,
        }
    }
}

/// Chooses it, and adds it to the tools.
pub(in crate::detect) fn choose(
    facts: &Facts<'_>,
    framework: Framework,
    plan: &mut Plan,
) -> Result<Manager, DetectError> {
    let dir = facts.root().unwrap_or(&facts.sources.app);
    let own = facts.package.as_ref().map(|package| (package, &facts.sources.app));
    let root = facts.workspace.as_ref().map(|workspace| (&workspace.package, workspace.root));
    let packages: Vec<(&Package, &Dir)> = own.into_iter().chain(root).collect();
    let locks: Vec<(&str, Name)> = LOCKFILES.into_iter().filter(|(it, _)| dir.has(it)).collect();
    let wished = wished(&packages, plan)?;
    let name = match (&wished, locks.first()) {
        (Some(wish), _) => wish.name,
        (None, Some((_, name))) => *name,
        (None, None) if dir.has("pnpm-workspace.yaml") => Name::Pnpm,
        (None, None) if dir.has(".yarnrc.yml") => Name::Yarn,
        (None, None) if framework == Framework::Bun => Name::Bun,
        (None, None) => Name::Npm,
    };
    let lockfile = locks.iter().find(|(_, of)| *of == name).map(|(lockfile, _)| *lockfile);
    warn_of_others(name, lockfile, &locks, dir, wished.is_some(), plan);
    match wished {
        Some(Wish { version: Some((version, by)), .. }) => {
            tools::push(plan, name.text(), version, &by);
        }
        _ if name == Name::Npm => {}
        _ if name == Name::Pnpm
            && has_settings(dir)
            && tools::is_from_lockfile(name.kind(), facts) =>
        {
            let why = "pnpm-workspace.yaml holds settings, which pnpm reads since version 10";
            tools::push(plan, "pnpm", "10".into(), why);
        }
        _ => tools::add(name.kind(), facts, plan)?,
    }
    let version = plan.tools.iter().find(|tool| tool.name == "yarn").map(|tool| &*tool.version);
    let is_berry = name == Name::Yarn && version.is_some_and(|it| !it.starts_with("1"));
    let rc = dir.text(".yarnrc.yml").unwrap_or_default();
    let linker = tools::yarnrc(rc, "nodeLinker");
    Ok(Manager {
        name,
        lockfile,
        is_berry,
        is_pnp: is_berry && !matches!(linker, Some("node-modules" | "pnpm")),
        is_yarn_4: is_berry && version.is_some_and(|it| it.starts_with('4')),
    })
}

fn has_settings(dir: &Dir) -> bool {
    dir.text("pnpm-workspace.yaml").is_some_and(workspace::pnpm_settings)
}

/// What `package.json` asks for.
struct Wish {
    name: Name,
    /// The version, and who names it.
    version: Option<(String, String)>,
}

fn wished(packages: &[(&Package, &Dir)], plan: &mut Plan) -> Result<Option<Wish>, DetectError> {
    for (package, dir) in packages {
        let file = dir.path_of("package.json");
        if let Some((text, version)) = package.package_manager() {
            let Some(name) = Name::named(text) else {
                plan.warn(format!(
                    "packageManager in {file} names {}, which is not known: npm, pnpm, yarn and bun are.",
                    shown(text)
                ));
                continue;
            };
            if version.is_empty() {
                return Ok(Some(Wish { name, version: None }));
            }
            let by = format!("packageManager in {file} says {text}@{}", shown(version));
            // An exact version; some leave parts out.
            if Range::prefix(version).is_none() {
                return Err(DetectError::Version {
                    tool: name.text(),
                    file: format!("packageManager in {file}"),
                    said: shown(version),
                    known: "an exact version, such as pnpm@10.4.1".into(),
                });
            }
            return Ok(Some(Wish { name, version: Some((version.to_owned(), by)) }));
        }
        if let Some((text, range)) = package.dev_manager()
            && let Some(name) = Name::named(text)
        {
            let lines = name.kind().lines;
            let range = range.and_then(|range| Range::parse(range, Tilde::Npm)?.newest_of(lines));
            let by = format!("devEngines.packageManager in {file} names it");
            let version = range.filter(|_| name != Name::Npm).map(|version| (version, by));
            return Ok(Some(Wish { name, version }));
        }
    }
    Ok(None)
}

fn warn_of_others(
    name: Name,
    lockfile: Option<&str>,
    locks: &[(&str, Name)],
    dir: &Dir,
    is_wished: bool,
    plan: &mut Plan,
) {
    let others: Vec<String> =
        locks.iter().filter(|(_, of)| *of != name).map(|(file, _)| dir.path_of(file)).collect();
    if others.is_empty() {
        return;
    }
    let (used, others) = (name.text(), others.join(" and "));
    plan.warn(match lockfile {
        Some(lockfile) => {
            format!("{others} is there beside {lockfile}: {used} is used, and what others locked is not.")
        }
        None if is_wished => format!(
            "package.json asks for {used}, and the lockfile is {others}: versions are not frozen. Commit {used}'s lockfile."
        ),
        None => format!("{others} is not used by {used}."),
    });
}

impl Manager {
    /// The install command and why it is this one.
    pub(super) fn install(&self) -> (String, String) {
        let command = match (self.name, self.lockfile) {
            (Name::Npm, Some(_)) => "npm ci",
            (Name::Npm, None) => "npm install",
            (Name::Pnpm, Some(_)) => "pnpm install --frozen-lockfile",
            (Name::Pnpm, None) => "pnpm install --no-frozen-lockfile",
            (Name::Yarn, Some(_)) if self.is_berry => "yarn install --immutable",
            (Name::Yarn, Some(_)) => "yarn install --frozen-lockfile",
            (Name::Yarn, None) if self.is_berry => "yarn install --no-immutable",
            (Name::Yarn, None) => "yarn install",
            (Name::Bun, Some(_)) => "bun install --frozen-lockfile",
            (Name::Bun, None) => "bun install",
        };
        let why = self.lockfile.map_or_else(
            || "there is no lockfile".to_owned(),
            |lockfile| format!("{lockfile} is there"),
        );
        (command.to_owned(), why)
    }

    /// Runs a script of `package.json`, whatever it is called.
    pub(super) fn run_script(&self, script: &str) -> String {
        format!("{} run {}", self.name.text(), quoted(script))
    }

    /// Runs a script of the app's `package.json`.
    pub(super) fn script(&self, script: &str) -> String {
        let name = self.name.text();
        match (self.name, script) {
            (Name::Npm | Name::Pnpm, "start") => format!("{name} start"),
            _ => self.run_script(script),
        }
    }

    /// Runs a program that a package brings.
    pub(super) fn program(&self, line: &str) -> String {
        match self.name {
            Name::Npm => format!("npx {line}"),
            Name::Pnpm => format!("pnpm exec {line}"),
            Name::Yarn if self.is_pnp => format!("yarn run {line}"),
            // It is on PATH, also where another member of the workspace brings it.
            Name::Yarn => line.to_owned(),
            Name::Bun => format!("bunx {line}"),
        }
    }

    /// The same of a package that the workspace's root brings.
    pub(super) fn root_program(&self, line: &str) -> String {
        if self.is_pnp { format!("yarn run -T {line}") } else { self.program(line) }
    }

    /// Runs Node on a file.
    pub(super) fn node(&self, rest: &str) -> String {
        if self.is_pnp { format!("yarn node {rest}") } else { format!("node {rest}") }
    }

    /// Builds one member of the workspace, and what it needs of the others where the manager
    /// knows the order.
    pub(super) fn build_member(&self, member: &str) -> String {
        let member = quoted(member);
        match self.name {
            Name::Npm => format!("npm run build --workspace={member}"),
            Name::Pnpm => format!("pnpm --filter={member}... run build"),
            Name::Yarn if self.is_yarn_4 => {
                format!("yarn workspaces foreach -Rt --from {member} run build")
            }
            Name::Yarn => format!("yarn workspace {member} run build"),
            Name::Bun => format!("bun run --filter={member} build"),
        }
    }
}
