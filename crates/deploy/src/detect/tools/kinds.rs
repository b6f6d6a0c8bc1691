//! Each tool: where its version is named, in the order of who is believed, and which
//! lines it has. Data, with a small reader for each file.

use super::super::range::Tilde;
use super::lines;
use super::read;

/// A tool whose version a repository may name.
pub(in crate::detect) struct Kind {
    /// As mise names it.
    pub name: &'static str,
    /// After `mise.toml`, `.mise.toml` and `.tool-versions`, in order.
    pub sources: &'static [Source],
    /// Of a range, the first that is in it is taken.
    pub lines: &'static [&'static str],
    /// Taken where nothing names a version, and before all others where a range has it.
    pub default: &'static str,
    /// Whether a version may be a word: `stable`, `pypy3.10`.
    pub words: bool,
    /// What mise wants before a bare version.
    pub prefix: &'static str,
}

/// A place that names a version.
pub(in crate::detect) struct Source {
    pub file: &'static str,
    /// The key in it; empty where the file holds nothing else.
    pub key: &'static str,
    pub form: Form,
    pub read: fn(&str) -> Option<String>,
}

/// How the place writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::detect) enum Form {
    /// A version, the beginning of one, or a name.
    Version,
    /// A range.
    Range(Tilde),
    /// The oldest that does; it is taken itself.
    AtLeast,
    /// Not at all: what reads it knows who wrote the file.
    Written,
}

const fn source(
    file: &'static str,
    key: &'static str,
    form: Form,
    read: fn(&str) -> Option<String>,
) -> Source {
    Source { file, key, form, read }
}

/// A file that holds a version and nothing else.
const fn plain(file: &'static str) -> Source {
    source(file, "", Form::Version, read::first_line)
}

const fn kind(
    name: &'static str,
    sources: &'static [Source],
    lines: &'static [&'static str],
) -> Kind {
    Kind { name, sources, lines, default: lines[0], words: true, prefix: "" }
}

const NPM_RANGE: Form = Form::Range(Tilde::Npm);

pub(in crate::detect) const NODE: Kind = Kind {
    name: "node",
    sources: &[
        plain(".node-version"),
        plain(".nvmrc"),
        source("package.json", "volta.node", Form::Version, |text| {
            read::json(text, &["volta", "node"])
        }),
        source("package.json", "devEngines.runtime", NPM_RANGE, read::dev_engine),
        source("package.json", "engines.node", NPM_RANGE, |text| {
            read::json(text, &["engines", "node"])
        }),
    ],
    lines: &lines::NODE_LINES,
    default: lines::NODE_DEFAULT,
    words: false,
    prefix: "",
};

pub(in crate::detect) const PYTHON: Kind = Kind {
    default: lines::PYTHON_DEFAULT,
    ..kind(
        "python",
        &[
            plain(".python-version"),
            source("runtime.txt", "", Form::Version, read::runtime_txt),
            source("Pipfile", "requires.python_version", Form::Version, |text| {
                read::toml(text, &["requires", "python_full_version"])
                    .or_else(|| read::toml(text, &["requires", "python_version"]))
            }),
            source("pyproject.toml", "project.requires-python", NPM_RANGE, |text| {
                read::toml(text, &["project", "requires-python"])
            }),
            source("pyproject.toml", "tool.poetry.dependencies.python", NPM_RANGE, |text| {
                read::toml(text, &["tool", "poetry", "dependencies", "python"])
            }),
        ],
        &lines::PYTHON,
    )
};

pub(in crate::detect) const RUBY: Kind = kind(
    "ruby",
    &[
        plain(".ruby-version"),
        source("Gemfile", "ruby", Form::Range(Tilde::Composer), read::gemfile),
        source("Gemfile.lock", "RUBY VERSION", Form::Version, read::gemfile_lock),
    ],
    &lines::RUBY,
);

pub(in crate::detect) const GO: Kind = kind(
    "go",
    &[
        plain(".go-version"),
        source("go.mod", "toolchain", Form::Version, |text| read::go_mod(text, "toolchain")),
        source("go.mod", "go", Form::AtLeast, |text| read::go_mod(text, "go")),
    ],
    &lines::GO,
);

pub(in crate::detect) const RUST: Kind = kind(
    "rust",
    &[
        source("rust-toolchain.toml", "toolchain.channel", Form::Version, |text| {
            read::toml(text, &["toolchain", "channel"])
        }),
        source("rust-toolchain", "", Form::Version, |text| {
            read::toml(text, &["toolchain", "channel"]).or_else(|| read::first_line(text))
        }),
    ],
    &lines::RUST,
);

pub(in crate::detect) const PHP: Kind = kind(
    "php",
    &[
        plain(".php-version"),
        source("composer.json", "config.platform.php", Form::Version, |text| {
            read::json(text, &["config", "platform", "php"])
        }),
        source("composer.json", "require.php", Form::Range(Tilde::Composer), |text| {
            read::json(text, &["require", "php"])
        }),
    ],
    &lines::PHP,
);

pub(in crate::detect) const ELIXIR: Kind = kind(
    "elixir",
    &[source("mix.exs", "elixir", Form::Range(Tilde::Composer), |text| {
        super::super::text::assigned_literal(text, "elixir").map(str::to_owned)
    })],
    &lines::ELIXIR,
);

/// What Elixir runs on: where nothing names it, that of Elixir's line.
pub(in crate::detect) const ERLANG: Kind = kind("erlang", &[], &lines::ERLANG);

pub(in crate::detect) const JAVA: Kind = Kind {
    prefix: "temurin-",
    ..kind(
        "java",
        &[
            source(".java-version", "", Form::Version, read::java_version),
            source("system.properties", "java.runtime.version", Form::Version, |text| {
                read::property(text, "java.runtime.version")
            }),
            source("pom.xml", "java.version", Form::Version, read::pom),
            source("build.gradle", "toolchain", Form::Version, read::gradle),
            source("build.gradle.kts", "toolchain", Form::Version, read::gradle),
        ],
        &lines::JAVA,
    )
};

pub(in crate::detect) const DENO: Kind = kind("deno", &[], &lines::DENO);

pub(in crate::detect) const BUN: Kind = kind(
    "bun",
    &[
        plain(".bun-version"),
        source("package.json", "engines.bun", NPM_RANGE, |text| {
            read::json(text, &["engines", "bun"])
        }),
    ],
    &lines::BUN,
);

/// The `packageManager` of package.json goes before all of these.
pub(in crate::detect) const PNPM: Kind = kind(
    "pnpm",
    &[
        source("package.json", "engines.pnpm", NPM_RANGE, |text| {
            read::json(text, &["engines", "pnpm"])
        }),
        source("pnpm-lock.yaml", "lockfileVersion", Form::Written, read::pnpm_lock),
    ],
    &lines::PNPM,
);

pub(in crate::detect) const YARN: Kind = kind(
    "yarn",
    &[
        source(".yarnrc.yml", "yarnPath", Form::Version, read::yarn_path),
        source("package.json", "engines.yarn", NPM_RANGE, |text| {
            read::json(text, &["engines", "yarn"])
        }),
        source("yarn.lock", "__metadata", Form::Written, read::yarn_lock),
    ],
    &lines::YARN,
);

pub(in crate::detect) const NPM: Kind = kind("npm", &[], &lines::NPM);
pub(in crate::detect) const UV: Kind = kind(
    "uv",
    &[source("pyproject.toml", "tool.uv.required-version", NPM_RANGE, |text| {
        read::toml(text, &["tool", "uv", "required-version"])
    })],
    &lines::LATEST,
);
pub(in crate::detect) const POETRY: Kind = kind(
    "poetry",
    &[source("poetry.lock", "generated by", Form::Written, read::poetry_lock)],
    &lines::POETRY,
);
pub(in crate::detect) const PIPENV: Kind = kind("pipenv", &[], &lines::LATEST);
pub(in crate::detect) const MAVEN: Kind = kind("maven", &[], &lines::MAVEN);
pub(in crate::detect) const GRADLE: Kind = kind("gradle", &[], &lines::GRADLE);

/// Those whose order the documentation shows.
#[cfg(test)]
pub(in crate::detect) const SHOWN: [&Kind; 13] =
    [&NODE, &PNPM, &YARN, &BUN, &DENO, &PYTHON, &POETRY, &RUBY, &PHP, &ELIXIR, &GO, &RUST, &JAVA];
