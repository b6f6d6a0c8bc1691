//! Putting a plan's tools into the sandbox, before anything of the app runs in it.
//!
//! What the template has is used as it is. Package managers come from the registry whose
//! packages they manage, so an app needs no other host for them; runtimes come by mise.
//! Whatever had to be installed stands in [`PROFILE`], which each command reads first.

use std::collections::BTreeMap;

use super::run::{Halt, Run};
use crate::detect::{Plan, Tool, quoted};
use crate::machine::{Machine, exec};

/// Where tools go that are no runtimes.
const FOLDER: &str = "/opt/pando/tools";
/// What puts them on PATH, and sets what else they want.
pub(super) const PROFILE: &str = "/opt/pando/profile";

/// Where a tool comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// This package of npm's registry.
    Npm(&'static str),
    /// The package of its name on PyPI.
    Pypi,
    Mise,
}

impl Source {
    fn of(tool: &Tool) -> Self {
        match tool.name.as_str() {
            "npm" => Self::Npm("npm"),
            "pnpm" => Self::Npm("pnpm"),
            // Yarn 1 goes on under its old name alone.
            "yarn" if tool.version == "1" || tool.version.starts_with("1.") => Self::Npm("yarn"),
            "yarn" => Self::Npm("@yarnpkg/cli-dist"),
            "bun" => Self::Npm("bun"),
            "uv" | "poetry" | "pipenv" => Self::Pypi,
            _ => Self::Mise,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Npm(_) => "npm's registry",
            Self::Pypi => "PyPI",
            Self::Mise => "mise",
        }
    }
}

impl Run {
    /// Installs what the plan wants and the template does not have.
    pub(super) async fn tools(&self, machine: &dyn Machine, plan: &Plan) -> Result<(), Halt> {
        if plan.tools.is_empty() {
            return Ok(());
        }
        let there = machine.tools().await;
        let there =
            there.map_err(|error| Halt::Failed(format!("the sandbox broke off: {error}")))?;
        let missing = missing(&plan.tools, &there);
        if missing.is_empty() {
            return Ok(());
        }
        for tool in &missing {
            let (name, version) = (&tool.name, &tool.version);
            let source = Source::of(tool).name();
            self.say(format!("Installing {name} {version} from {source}.")).await;
        }
        let install = exec(&["/bin/sh", "-c", &script(&missing)]);
        self.to_its_end(machine, "the installation of tools", install).await
    }
}

fn missing<'a>(wanted: &'a [Tool], there: &BTreeMap<String, String>) -> Vec<&'a Tool> {
    let is_there =
        |tool: &Tool| there.get(&tool.name).is_some_and(|version| is_of(version, &tool.version));
    wanted.iter().filter(|tool| !is_there(tool)).collect()
}

/// Whether `version` is the one that is wanted, or begins with what is.
fn is_of(version: &str, wanted: &str) -> bool {
    wanted == "latest"
        || version.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Runtimes first: the package managers run on them.
fn script(tools: &[&Tool]) -> String {
    let mut lines =
        vec!["set -e".to_owned(), format!("mkdir -p {FOLDER}"), format!(": >{PROFILE}")];
    let (runtimes, managers): (Vec<&Tool>, Vec<&Tool>) =
        tools.iter().partition(|tool| Source::of(tool) == Source::Mise);
    for tool in &runtimes {
        let wanted = quoted(&at(tool));
        lines.push(format!("mise install -C / {wanted} || {{\n{}\nexit 1\n}}", why_not(tool)));
    }
    if !runtimes.is_empty() {
        let all: Vec<_> = runtimes.iter().map(|tool| quoted(&at(tool))).collect();
        lines.push(format!("mise env -C / -s bash {} >>{PROFILE}", all.join(" ")));
        lines.push(format!(". {PROFILE}"));
    }
    for tool in &managers {
        let name = quoted(&tool.name);
        let home = format!("{FOLDER}/{name}");
        match Source::of(tool) {
            Source::Npm(package) => {
                let wanted = quoted(&format!("{package}@{}", tool.version));
                lines.push(format!("npm install --global --silent --prefix {home} {wanted}"));
            }
            Source::Pypi | Source::Mise => {
                let wanted = quoted(&requirement(tool));
                lines.push(format!("python3 -m venv {home}/venv"));
                lines.push(format!("{home}/venv/bin/pip install --quiet {wanted}"));
                // Not all of the venv: its python would be taken for the app's.
                lines.push(format!("mkdir -p {home}/bin"));
                lines.push(format!("ln -sf ../venv/bin/{name} {home}/bin/{name}"));
            }
        }
        lines.push(format!("echo 'export PATH={home}/bin:\"$PATH\"' >>{PROFILE}"));
    }
    lines.join("\n")
}

/// Says why mise did not install a runtime: its own words are the same whether there is no such
/// version or nobody to ask for one.
fn why_not(tool: &Tool) -> String {
    let (name, wanted) = (quoted(&tool.name), quoted(&at(tool)));
    // Only what it does step by step names the hosts that it asks; the second listing is kept
    // from the first.
    format!(
        r#"list=$(mktemp -d)
if ! mise --verbose ls-remote {name} >"$list/versions" 2>"$list/steps" || ! [ -s "$list/versions" ]; then
echo the versions of {name} could not be listed, and it is not known whether there is {wanted}: no list came from $(grep -o 'https\?://[^/ ")]*' "$list/steps" | sort -u)
elif [ -n "$(mise ls-remote {wanted})" ]; then
echo there is {wanted}, but it could not be downloaded or installed: mise says why above
else
echo mise lists no {wanted}, but:
tail -n 40 "$list/versions"
fi"#
    )
}

/// A tool as mise is asked for it.
fn at(tool: &Tool) -> String {
    format!("{}@{}", tool.name, tool.version)
}

/// A tool as pip is asked for it.
fn requirement(tool: &Tool) -> String {
    let (name, version) = (&tool.name, &tool.version);
    match version.split('.').count() {
        _ if version == "latest" => name.clone(),
        // The beginning of a version stands for all that begin so.
        1 | 2 => format!("{name}=={version}.*"),
        _ => format!("{name}=={version}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn tool(name: &str, version: &str) -> Tool {
        Tool { name: name.into(), version: version.into(), reason: String::new() }
    }

    #[test]
    fn what_the_template_has_is_not_installed() {
        let there = BTreeMap::from([
            ("node".to_owned(), "22.23.3".to_owned()),
            ("python".to_owned(), "3.11.2".to_owned()),
        ]);
        let wanted = [
            tool("node", "22"),
            tool("node", "22.23"),
            tool("node", "22.2"),
            tool("node", "2"),
            tool("python", "latest"),
            tool("pnpm", "9"),
        ];
        let missing: Vec<_> = missing(&wanted, &there).iter().map(|tool| at(tool)).collect();
        assert_eq!(missing, ["node@22.2", "node@2", "pnpm@9"]);
    }

    #[test]
    fn each_tool_comes_from_where_it_is() {
        let wanted =
            [tool("pnpm", "9.1.0"), tool("yarn", "4"), tool("poetry", "2"), tool("node", "20")];
        let wanted: Vec<&Tool> = wanted.iter().collect();
        let script = script(&wanted);
        let runtime =
            format!("mise install -C / node@20 || {{\n{}\nexit 1\n}}\n", why_not(wanted[3]));
        let (_, rest) = script.split_once(&runtime).unwrap();
        assert_eq!(
            rest.lines().collect::<Vec<_>>(),
            [
                "mise env -C / -s bash node@20 >>/opt/pando/profile",
                ". /opt/pando/profile",
                "npm install --global --silent --prefix /opt/pando/tools/pnpm pnpm@9.1.0",
                "echo 'export PATH=/opt/pando/tools/pnpm/bin:\"$PATH\"' >>/opt/pando/profile",
                "npm install --global --silent --prefix /opt/pando/tools/yarn @yarnpkg/cli-dist@4",
                "echo 'export PATH=/opt/pando/tools/yarn/bin:\"$PATH\"' >>/opt/pando/profile",
                "python3 -m venv /opt/pando/tools/poetry/venv",
                "/opt/pando/tools/poetry/venv/bin/pip install --quiet 'poetry==2.*'",
                "mkdir -p /opt/pando/tools/poetry/bin",
                "ln -sf ../venv/bin/poetry /opt/pando/tools/poetry/bin/poetry",
                "echo 'export PATH=/opt/pando/tools/poetry/bin:\"$PATH\"' >>/opt/pando/profile",
            ]
        );
    }

    /// What is said where mise does this; the real one's versions are on hosts that no test
    /// may need.
    fn said(mise: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("mise");
        std::fs::write(&program, format!("#!/bin/sh\n{mise}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let script = format!("set -e\n{}", why_not(&tool("node", "20")));
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &script]).env("PATH", path).env("TMPDIR", folder.path());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_host_that_is_not_reached_is_told_from_a_version_that_is_not_there() {
        let lost = "echo 'DEBUG GET https://nodejs.org/dist/index.json' >&2\n\
            echo 'WARN (https://mise.example:8443/x) \"https://nodejs.org\"' >&2\n";
        for mise in [format!("{lost}exit 1"), lost.to_owned()] {
            assert_eq!(
                said(&mise),
                "the versions of node could not be listed, and it is not known whether there is \
                 node@20: no list came from https://mise.example:8443 https://nodejs.org\n"
            );
        }
        let lists = |fitting: &str| {
            said(&format!("case $2$3 in *node@20) {fitting};; *) echo 22.1.0; echo 24.0.0;; esac"))
        };
        assert_eq!(lists(":"), "mise lists no node@20, but:\n22.1.0\n24.0.0\n");
        assert_eq!(
            lists("echo 20.1.0"),
            "there is node@20, but it could not be downloaded or installed: mise says why above\n"
        );
    }

    #[test]
    fn a_name_is_one_word_for_the_shell() {
        let script = script(&[&tool("a'; rm -rf /", "1 && x")]);
        assert!(script.contains(r"mise install -C / 'a'\''; rm -rf /@1 && x' ||"), "{script}");
    }
}
