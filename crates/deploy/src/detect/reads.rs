//! Whether install reads more than the files that package managers know by their names: then
//! a change of any file may change what it installs.

use serde_json::Value;

use super::facts::Facts;
use super::files::{MEMBERS_READ, PACKAGE_JSON};
use super::node::{INSTALL_HOOKS, Package};
use super::plan::Plan;
use super::sources::{Dir, Sources};
use super::{text, workspace};

/// How deep values are looked through; what is deeper may be anything.
const MAX_DEPTH: usize = 16;
/// How many lists of requirements may name one another.
const MAX_LISTS: usize = 32;
/// Where a `package.json` names packages, or what takes their place.
const NODE_KEYS: [&str; 9] = [
    "dependencies",
    "devDependencies",
    "optionalDependencies",
    "peerDependencies",
    "dependenciesMeta",
    "resolutions",
    "overrides",
    "patchedDependencies",
    "pnpm",
];
/// Packages that a list of requirements may name: the key of a layer has all files of these.
const ARCHIVES: [&str; 3] = [".whl", ".tar.gz", ".zip"];

/// Whether it cannot be told by names what the plan's install reads.
pub(super) fn all(facts: &Facts<'_>, plan: &Plan) -> bool {
    let Some(install) = plan.install.as_deref() else { return false };
    node(facts, plan)
        || requirements(facts.sources, install)
        || python(facts.sources)
        || facts.sources.text("Gemfile").is_some_and(gemfile)
        || facts
            .sources
            .text("Gemfile.lock")
            .is_some_and(|lock| lock.lines().any(|it| it == "PATH"))
        || facts.sources.text("composer.json").is_some_and(composer)
}

/// Packages that are folders of the repository, and hooks that are not run again on a layer.
fn node(facts: &Facts<'_>, plan: &Plan) -> bool {
    let root = facts.root().unwrap_or(&facts.sources.app);
    let root_package = facts.workspace.as_ref().map(|workspace| &workspace.package);
    let root_package = root_package.or(facts.package.as_ref());
    let own = [root_package, facts.package.as_ref()];
    if own.into_iter().flatten().any(has_local) {
        return true;
    }
    // Those of the root are run again, where the plan says so.
    if plan.install_hooks.is_none() && root_package.is_some_and(has_hook) {
        return true;
    }
    if facts.workspace.is_some() && facts.package.as_ref().is_some_and(has_hook) {
        return true;
    }
    let pnpm = root.text("pnpm-workspace.yaml").unwrap_or_default();
    if ["file:", "link:", "injectWorkspacePackages: true"].iter().any(|it| pnpm.contains(it)) {
        return true;
    }
    if root_package.is_none() || workspace::patterns(root).is_empty() {
        return false;
    }
    // What is not known of a member may be a hook.
    root.text(MEMBERS_READ).is_none()
        || members(root).any(|package| package.is_none_or(|it| has_local(&it) || has_hook(&it)))
}

/// The `package.json` of each member that was read; none where it is no such file.
fn members(root: &Dir) -> impl Iterator<Item = Option<Package>> {
    let is_member =
        |name: &str| name.strip_suffix(PACKAGE_JSON).is_some_and(|at| at.ends_with('/'));
    root.texts
        .iter()
        .filter(move |(name, _)| is_member(name))
        .map(|(_, text)| Package::parse(text).ok())
}

fn has_hook(package: &Package) -> bool {
    INSTALL_HOOKS.iter().any(|hook| package.script(hook).is_some())
}

fn has_local(package: &Package) -> bool {
    NODE_KEYS.iter().filter_map(|key| package.value(key)).any(|value| is_local(value, 0))
}

/// Whether a value names a folder or a file, whatever key it has.
fn is_local(value: &Value, depth: usize) -> bool {
    let begins = ["file:", "link:", "portal:", "exec:", "./", "../", "~/", "/"];
    match value {
        Value::String(text) => {
            let text = text.trim();
            let is_patch = text.ends_with(".patch") && !text.contains(':');
            // Yarn keeps its own below `.yarn/`, which is known.
            let is_yarn_patch = text.starts_with("patch:")
                && text.contains('#')
                && ![".yarn/", "builtin"].iter().any(|known| text.contains(known));
            begins.iter().any(|begin| text.starts_with(begin))
                || is_yarn_patch
                || (is_patch && !text.starts_with("patches/"))
        }
        _ if depth > MAX_DEPTH => true,
        Value::Array(values) => values.iter().any(|value| is_local(value, depth + 1)),
        // pnpm copies a member that is injected.
        Value::Object(values) => values.iter().any(|(key, value)| {
            (key == "injected" && *value == Value::Bool(true)) || is_local(value, depth + 1)
        }),
        _ => false,
    }
}

/// Whether a list of requirements that install names leads to a folder, or to a list that was
/// not read.
fn requirements(sources: &Sources, install: &str) -> bool {
    if !install.contains("pip") {
        return false;
    }
    let is_list = |word: &&str| word.ends_with(".txt") || word.ends_with(".in");
    let mut lists: Vec<Option<String>> =
        install.split_whitespace().filter(is_list).map(text::inside).collect();
    let mut at = 0;
    while let Some(list) = lists.get(at).cloned() {
        at += 1;
        let Some(list) = list else { return true };
        let Some(lines) = sources.text(&list) else { return true };
        let folder = list.rsplit_once('/').map_or("", |(folder, _)| folder);
        for line in lines.lines() {
            let line = line.trim();
            let comment = line.find(" #").or_else(|| line.starts_with('#').then_some(0));
            match requirement(comment.map_or(line, |at| &line[..at])) {
                Requirement::Known => {}
                Requirement::Folder => return true,
                Requirement::List(other) => {
                    let other = text::joined(folder, other);
                    if !lists.contains(&other) {
                        lists.push(other);
                    }
                }
            }
        }
        if lists.len() > MAX_LISTS {
            return true;
        }
    }
    false
}

/// What a line asks for.
enum Requirement<'a> {
    Known,
    Folder,
    List(&'a str),
}

fn requirement(line: &str) -> Requirement<'_> {
    for option in ["-r", "--requirement", "-c", "--constraint"] {
        let Some(rest) = line.strip_prefix(option) else { continue };
        let rest = rest.trim_start_matches(['=', ' ', '\t']).trim_end();
        let is_short = option.len() == 2;
        if is_short || rest.len() < line.len() - option.len() {
            return Requirement::List(rest);
        }
    }
    let editable = line.strip_prefix("--editable").or_else(|| line.strip_prefix("-e"));
    if editable.is_none() && line.starts_with('-') {
        return Requirement::Known;
    }
    let what = editable.unwrap_or(line).trim_start_matches(['=', ' ', '\t']);
    let what = what.split([' ', '\t', ';']).next().unwrap_or_default();
    let is_archive = ARCHIVES.iter().any(|end| what.ends_with(end));
    let is_address = what.contains("://") && !what.contains("file:");
    let is_path = what.starts_with('.') || what.contains(['/', '\\']) || line.contains("file:");
    if (is_path || editable.is_some()) && !is_archive && !is_address && !line.contains("@ http") {
        return Requirement::Folder;
    }
    Requirement::Known
}

/// Whether a project of uv, Poetry, PDM or Pipenv has packages that are folders.
fn python(sources: &Sources) -> bool {
    let project = |text: &str| {
        // Of what cannot be read, nothing is known.
        text::toml(text).is_none_or(|table| names_path(&toml::Value::Table(table), false))
    };
    let mut dirs = std::iter::once(&sources.app).chain(&sources.above);
    dirs.any(|dir| {
        dir.text("pyproject.toml").is_some_and(project)
            || dir.text("uv.lock").is_some_and(|lock| lock.contains("{ directory = "))
            || dir.text("poetry.lock").is_some_and(|lock| lock.contains("type = \"directory\""))
    }) || sources
        .text("Pipfile")
        .is_some_and(|text| text::toml(text).is_none_or(|it| is_path(&toml::Value::Table(it))))
}

/// Whether what a project depends on is a folder; `is_inside` is whether the value stands
/// below a key that names what it depends on. Only shallow texts are read: this ends.
fn names_path(value: &toml::Value, is_inside: bool) -> bool {
    match value {
        _ if is_inside => is_path(value),
        toml::Value::Table(table) => table.iter().any(|(key, value)| {
            let is_inside = key.ends_with("dependencies")
                || matches!(key.as_str(), "sources" | "dependency-groups");
            names_path(value, is_inside)
        }),
        _ => false,
    }
}

/// Whether it has a path or a member of the workspace somewhere.
fn is_path(value: &toml::Value) -> bool {
    match value {
        toml::Value::String(text) => text.contains("file:"),
        toml::Value::Array(values) => values.iter().any(is_path),
        toml::Value::Table(table) => table.iter().any(|(key, value)| {
            (key == "path" && value.is_str())
                || (key == "workspace" && value.as_bool() == Some(true))
                || is_path(value)
        }),
        _ => false,
    }
}

/// Whether a Gemfile has gems that are folders, or reads another file.
fn gemfile(gemfile: &str) -> bool {
    text::lines(gemfile).any(|line| {
        let first = line.split(|letter: char| !text::is_word(letter)).next();
        matches!(first, Some("path" | "gemspec" | "eval_gemfile"))
            || ["path:", ":path"].iter().any(|key| line.contains(key))
    })
}

/// Whether a `composer.json` has packages that are folders, or sources that are listed when it
/// installs.
fn composer(json: &str) -> bool {
    let Ok(composer) = serde_json::from_str::<Value>(json) else { return true };
    let is_path = |it: &Value| it.get("type").and_then(Value::as_str) == Some("path");
    let repositories = match composer.get("repositories") {
        Some(Value::Array(all)) => all.iter().any(is_path),
        Some(Value::Object(all)) => all.values().any(is_path),
        _ => false,
    };
    repositories || composer.get("autoload").is_some_and(|it| it.get("classmap").is_some())
}

#[cfg(test)]
mod tests {
    use super::super::tests::dir;
    use super::super::{Settings, detect};
    use super::*;

    fn reads_all(names: &[&str], texts: &[(&str, &str)]) -> bool {
        let sources = Sources { app: dir("", names, texts), above: Vec::new() };
        let settings = Settings { start: Some("x".into()), ..Settings::default() };
        detect(&settings, &sources).unwrap().install_reads_all
    }

    #[test]
    fn requirements_that_are_folders() {
        let names = ["main.py"];
        let of = |list: &str| reads_all(&names, &[("requirements.txt", list)]);
        for list in [
            "flask\n./libs/mylib\n",
            "-e ./lib",
            "-e lib # ours",
            "--editable=lib",
            "libs/mylib",
            "../up",
            "mylib @ file:///app/lib",
            "-r other.txt",
        ] {
            assert!(of(list), "{list}");
        }
        for list in [
            "flask>=3\n# ./x\nx==1 # see a/b\nuvicorn[standard]",
            "-e git+https://example.com/a/b.git#egg=b",
            "x @ https://example.com/a/x.whl",
            "./vendor/x-1-py3-none-any.whl",
            "--index-url https://example.com/simple\ny==1 --hash=sha256:00",
        ] {
            assert!(!of(list), "{list}");
        }
    }

    #[test]
    fn packages_that_are_folders() {
        for version in ["file:./loc", "link:../x", "portal:x", "./x", "../x"] {
            let package = format!(r#"{{"dependencies":{{"x":"{version}"}}}}"#);
            assert!(reads_all(&[], &[("package.json", &package)]), "{version}");
        }
        let plain =
            r#"{"dependencies":{"x":"^1","y":"a/b","z":"npm:q@1"},"scripts":{"postinstall":"x"}}"#;
        assert!(!reads_all(&["package-lock.json"], &[("package.json", plain)]));
    }

    #[test]
    fn hooks_of_members() {
        let root = r#"{"workspaces":["apps/*"]}"#;
        let of = |member: &str| {
            reads_all(
                &["package-lock.json"],
                &[("package.json", root), ("apps/a/package.json", member), (MEMBERS_READ, "")],
            )
        };
        assert!(!of(r#"{"scripts":{"build":"x"}}"#));
        assert!(of(r#"{"scripts":{"postinstall":"prisma generate"}}"#));
        assert!(of(r#"{"dependencies":{"x":"file:../x"}}"#));
        assert!(of("{"));
        // Members that were not read.
        assert!(reads_all(&["package-lock.json"], &[("package.json", root)]));
    }

    #[test]
    fn other_languages() {
        let pyproject =
            |text: &str| reads_all(&["main.py", "uv.lock"], &[("pyproject.toml", text)]);
        assert!(pyproject("[tool.uv.sources]\nx = { path = 'x' }\n"));
        assert!(pyproject("[tool.poetry.group.dev.dependencies]\nx = { path = 'x' }\n"));
        assert!(pyproject("[project]\ndependencies = ['x @ file:///x']\n"));
        assert!(!pyproject("[project]\ndependencies = ['x']\n[tool.x]\npath = 'y'\n"));
        let gemfile = |text: &str| reads_all(&["config.ru"], &[("Gemfile", text)]);
        assert!(gemfile("gem 'x', path: 'x'\n"));
        assert!(gemfile("gem 'x', :path => 'x'\n"));
        assert!(!gemfile("source 'https://rubygems.org'\ngem 'rails' # path: no\n"));
        let composer = |text: &str| reads_all(&["index.php"], &[("composer.json", text)]);
        assert!(composer(r#"{"repositories":[{"type":"path","url":"x"}]}"#));
        assert!(!composer(r#"{"repositories":[{"type":"vcs","url":"x"}]}"#));
    }
}
