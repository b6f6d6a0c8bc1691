//! What an install depends on: pure.

use serde::Serialize;

use crate::detect::Tool;
use crate::git::TreeEntry;

/// Changes when what is put on a layer does.
const VERSION: u32 = 2;

/// Files that package managers read, by their names, in whatever folder: what is locked, what
/// is asked for, and how the manager is set up.
const READ_BY_INSTALL: &[&str] = &[
    // Node
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    ".yarnrc",
    ".yarnrc.yml",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    ".pnpmfile.cjs",
    "bun.lock",
    "bun.lockb",
    "bunfig.toml",
    ".npmrc",
    // Deno
    "deno.json",
    "deno.jsonc",
    "deno.lock",
    // Python
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "poetry.lock",
    "uv.lock",
    "uv.toml",
    "Pipfile",
    "Pipfile.lock",
    "pip.conf",
    // Ruby, PHP
    "Gemfile",
    "Gemfile.lock",
    "composer.json",
    "composer.lock",
    // Go, Rust, Elixir
    "go.mod",
    "go.sum",
    "go.work",
    "go.work.sum",
    "Cargo.toml",
    "Cargo.lock",
    "mix.exs",
    "mix.lock",
    // Java
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
    "gradle.properties",
    "gradle.lockfile",
    "libs.versions.toml",
];

/// Folders of which package managers read all: their own releases, and changes of packages.
const FOLDERS_READ: &[&str] = &[".yarn", "patches", ".mvn", "gradle"];

/// Commands that read nothing else of the repository: a program, and what it is told to do.
const INSTALLS: &[(&str, &[&str])] = &[
    ("npm", &["ci", "install", "i"]),
    ("pnpm", &["install", "i"]),
    ("yarn", &["", "install", "--frozen-lockfile", "--immutable"]),
    ("bun", &["install", "i"]),
    ("deno", &["install"]),
    ("pip", &["install"]),
    (".venv/bin/pip", &["install"]),
    ("python", &["-m venv", "-m pip"]),
    ("python3", &["-m venv", "-m pip"]),
    ("uv", &["sync", "pip", "venv"]),
    ("poetry", &["install", "config"]),
    ("pipenv", &["sync", "install"]),
    ("bundle", &["install", "config"]),
    ("composer", &["install"]),
    ("go", &["mod"]),
    ("cargo", &["fetch"]),
    ("mix", &["local.hex", "local.rebar", "deps.get"]),
];

/// What an install is made of.
#[derive(Debug, Serialize)]
pub(crate) struct Recipe<'a> {
    pub template: &'a str,
    pub template_version: &'a str,
    pub tools: Vec<(&'a str, &'a str)>,
    pub install_folder: &'a str,
    pub install: &'a str,
    /// Of the plan, which install has too.
    pub env: Vec<(&'a str, &'a str)>,
    /// Whether what install reads cannot be told by names, as the plan has it.
    #[serde(skip)]
    pub reads_all: bool,
    /// The files of the commit.
    #[serde(skip)]
    pub listing: &'a [TreeEntry],
}

impl<'a> Recipe<'a> {
    pub(crate) fn tools(tools: &'a [Tool]) -> Vec<(&'a str, &'a str)> {
        tools.iter().map(|tool| (tool.name.as_str(), tool.version.as_str())).collect()
    }

    /// The hash of all of it, as 32 hex digits.
    pub(crate) fn hash(&self) -> String {
        let mut hash = blake3::Hasher::new();
        hash.update(&VERSION.to_le_bytes());
        // Of texts alone: it cannot fail.
        hash.update(&serde_json::to_vec(self).unwrap_or_default());
        // What stands behind a link may have any name.
        let is_read_link = |entry: &TreeEntry| entry.is_link() && is_read_by_install(&entry.path);
        let reads_all =
            self.reads_all || !is_known(self.install) || self.listing.iter().any(is_read_link);
        let by_pip = ["pip", "uv "].iter().any(|program| self.install.contains(program));
        for entry in self.listing {
            let may_be_named = by_pip && may_be_in_requirements(&entry.path);
            if reads_all || may_be_named || is_read_by_install(&entry.path) {
                hash.update(entry.version.as_bytes());
                hash.update(&[0]);
                hash.update(&entry.path);
                hash.update(&[0]);
            }
        }
        hash.finalize().to_hex()[..32].to_owned()
    }
}

/// Whether every part of a command is a package manager's install, which reads what is listed
/// above and nothing else. A script of the repository's own may read anything.
fn is_known(install: &str) -> bool {
    let plain = |text: &str| !text.contains(['$', '`', '<', '>', '|', ';', '(', '\n']);
    plain(install) && install.split("&&").all(is_install)
}

fn is_install(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    let mut verb = words.next().unwrap_or_default().to_owned();
    if verb == "-m" {
        verb = format!("-m {}", words.next().unwrap_or_default());
    }
    let is_listed =
        INSTALLS.iter().any(|(name, verbs)| *name == program && verbs.contains(&verb.as_str()));
    // `pip install .` copies the sources, `-r` reads a file of any name, and a folder that is
    // named has a `package.json` that detection did not read.
    let is_pip = command.contains("pip");
    let reads_more = |word: &str| {
        let is_list = word.ends_with(".txt") || word.ends_with(".in");
        let is_elsewhere = matches!(
            word.split('=').next().unwrap_or_default(),
            "." | ".."
                | "-e"
                | "--editable"
                | "-C"
                | "-d"
                | "--prefix"
                | "--cwd"
                | "--dir"
                | "--directory"
                | "--project"
                | "--working-dir"
        );
        is_elsewhere
            || (!is_list && ["./", "../", "file:"].iter().any(|begin| word.starts_with(begin)))
            || (is_pip && !is_list && word.contains('/') && !word.contains("://"))
            || word.starts_with(".[")
            || (is_list && !is_read_by_install(word.as_bytes()))
    };
    is_listed && !words.any(reads_more)
}

/// Whether package managers read the file at this path.
fn is_read_by_install(path: &[u8]) -> bool {
    let Ok(path) = std::str::from_utf8(path) else { return false };
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_requirements = (name.ends_with(".txt") || name.ends_with(".in"))
        && (name.contains("requirements")
            || name.contains("constraints")
            || folders.rsplit('/').next() == Some("requirements"));
    is_requirements
        || READ_BY_INSTALL.contains(&name)
        || folders.split('/').any(|folder| FOLDERS_READ.contains(&folder))
}

/// Whether a list of requirements may name the file at this path: another list, or a package.
fn may_be_in_requirements(path: &[u8]) -> bool {
    [".txt", ".in", ".pip", ".whl", ".tar.gz", ".zip"]
        .iter()
        .any(|end| path.ends_with(end.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, id: &str) -> TreeEntry {
        TreeEntry { path: path.into(), version: format!("100644 blob {id}") }
    }

    fn hash(install: &str, listing: &[TreeEntry]) -> String {
        let recipe = Recipe {
            template: "base",
            template_version: "1",
            tools: vec![("node", "22")],
            install_folder: "",
            install,
            env: Vec::new(),
            reads_all: false,
            listing,
        };
        recipe.hash()
    }

    #[test]
    fn sources_change_no_install() {
        let before = [entry("package-lock.json", "1"), entry("src/index.js", "1")];
        let source = [entry("package-lock.json", "1"), entry("src/index.js", "2")];
        let lock = [entry("package-lock.json", "2"), entry("src/index.js", "1")];
        assert_eq!(hash("npm ci", &before), hash("npm ci", &source));
        assert_ne!(hash("npm ci", &before), hash("npm ci", &lock));
        assert_ne!(hash("npm ci", &before), hash("npm install", &before));
    }

    #[test]
    fn any_file_counts_where_names_do_not_tell() {
        let before = [entry("package.json", "1"), entry("prisma/schema.prisma", "1")];
        let after = [entry("package.json", "1"), entry("prisma/schema.prisma", "2")];
        let hash = |reads_all: bool, listing: &[TreeEntry]| {
            let recipe = Recipe {
                template: "base",
                template_version: "1",
                tools: Vec::new(),
                install_folder: "",
                install: "npm ci",
                env: Vec::new(),
                reads_all,
                listing,
            };
            recipe.hash()
        };
        assert_ne!(hash(true, &before), hash(true, &after));
        assert_eq!(hash(false, &before), hash(false, &after));
    }

    #[test]
    fn behind_a_link_may_be_any_file() {
        let link = TreeEntry { path: "package.json".into(), version: "120000 1".into() };
        let before = [link.clone(), entry("other.json", "1")];
        let after = [link, entry("other.json", "2")];
        assert_ne!(hash("npm ci", &before), hash("npm ci", &after));
    }

    #[test]
    fn requirements_may_name_others() {
        for name in ["deps/base.txt", "vendor/shared-1.0-py3-none-any.whl"] {
            let (before, after) = ([entry(name, "1")], [entry(name, "2")]);
            let install = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";
            assert_ne!(hash(install, &before), hash(install, &after), "{name}");
            assert_eq!(hash("npm ci", &before), hash("npm ci", &after), "{name}");
        }
    }

    #[test]
    fn a_command_of_the_repositorys_own_may_read_anything() {
        let before = [entry("Makefile", "1"), entry("src/a.c", "1")];
        let after = [entry("Makefile", "1"), entry("src/a.c", "2")];
        for install in [
            "make deps",
            "./setup.sh",
            "npm ci && node x.js",
            "pip install .",
            "pip install .[web]",
            "pip install ./lib",
            "pip install libs/mylib",
            "pip install -e lib",
            "npm ci --prefix client",
            "pip install -r src/prod.txt",
            "npm run x",
            "pip install $X",
            "go generate",
            "python3 -m setup",
        ] {
            assert_ne!(hash(install, &before), hash(install, &after), "{install}");
        }
        for install in [
            "npm ci",
            "yarn",
            "yarn --immutable",
            "mix local.hex --force && mix deps.get --only prod",
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
        ] {
            assert_eq!(hash(install, &before), hash(install, &after), "{install}");
        }
    }

    #[test]
    fn what_managers_read_is_known_in_any_folder() {
        for path in [
            "package.json",
            "apps/web/package.json",
            "requirements-dev.txt",
            "requirements/base.txt",
            ".yarn/releases/yarn-4.cjs",
            "patches/x.patch",
        ] {
            assert!(is_read_by_install(path.as_bytes()), "{path}");
        }
        for path in ["src/index.js", "readme.txt", "package.json/x", "\u{fffd}"] {
            assert!(!is_read_by_install(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn every_part_counts() {
        let listing = [entry("go.mod", "1")];
        let base = || Recipe {
            template: "base",
            template_version: "1",
            tools: vec![("go", "1.22")],
            install_folder: "",
            install: "go mod download",
            env: vec![("A", "1")],
            reads_all: false,
            listing: &listing,
        };
        let changes: [fn(&mut Recipe<'_>); 5] = [
            |recipe| recipe.template = "other",
            |recipe| recipe.template_version = "2",
            |recipe| recipe.tools = vec![("go", "1.23")],
            |recipe| recipe.install_folder = "a",
            |recipe| recipe.env = vec![("A", "2")],
        ];
        for change in changes {
            let mut other = base();
            change(&mut other);
            assert_ne!(other.hash(), base().hash());
        }
    }
}
