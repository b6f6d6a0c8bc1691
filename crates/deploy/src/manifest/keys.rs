//! Every key of `pando.toml`: data only. Reading, the JSON schema and the table of
//! `docs/pando-toml.md` come from here.

use pando_types::limits::{
    MAX_APP_COMMAND_BYTES, MAX_CPU, MAX_MEMORY_MIB, MAX_SCHEDULE_COMMAND_BYTES,
    MAX_SCHEDULE_TIMEOUT, MAX_SCHEDULES, MAX_TTL, MEMORY_STEP_MIB, MIN_MEMORY_MIB,
};

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub name: &'static str,
    pub value: Value,
    pub absent: Absent,
    /// What it does, as a sentence of the documentation.
    pub about: &'static str,
}

/// What it means that a key is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// It must be.
    Wrong,
    /// This, as the documentation shows it.
    Means(&'static str),
}

/// What a key may hold.
#[derive(Debug)]
pub(super) enum Value {
    /// A command for the shell.
    Command,
    /// The same; empty means none.
    CommandOrNone,
    /// The name of a framework.
    Framework,
    /// How an app is asked whether it works.
    Protocol,
    /// What is asked for by HTTP.
    UrlPath,
    /// A folder below the app's.
    Folder,
    /// When something is due.
    Cron,
    Port,
    Whole(Whole),
    Flag,
    /// Names of variables.
    VariableNames,
    /// Variables and their values.
    Variables,
    Table(&'static Table),
    Named(&'static Named),
}

/// Whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole {
    pub least: u32,
    pub most: u32,
    pub step: u32,
}

/// A table whose keys are known.
#[derive(Debug)]
pub(super) struct Table {
    pub keys: &'static [Key],
    /// What may not stand together.
    pub clashes: &'static [Clash],
    /// What means nothing without another.
    pub needs: &'static [(&'static str, &'static str)],
}

/// Two keys of a table that say different things.
#[derive(Debug)]
pub(super) struct Clash {
    pub one: &'static str,
    /// The value of it that does; any where there is none.
    pub is: Option<&'static str>,
    pub other: &'static str,
}

/// Tables by names that users choose.
#[derive(Debug)]
pub(super) struct Named {
    /// What each of them is.
    pub what: &'static str,
    pub most: usize,
    /// Names that are taken.
    pub taken: &'static [&'static str],
    pub each: Table,
}

/// The longest name of a worker or a cron.
pub(super) const MAX_NAME_BYTES: usize = 32;
/// The most workers: with what serves, they are sixteen processes.
const MAX_WORKERS: usize = 15;
/// The longest path of a health check, in bytes.
pub(super) const MAX_URL_PATH_BYTES: usize = 512;
/// The longest folder that is served, in bytes.
pub(super) const MAX_FOLDER_BYTES: usize = 256;
/// The longest grace of a health check, in seconds.
const MAX_GRACE_SECS: u32 = 900;
/// The most variables that only a build sees.
pub(super) const MAX_BUILD_SECRETS: usize = 64;

/// A variable that Pando sets itself.
pub(super) const PORT: &str = "PORT";

// What a schedule may run, a command here may be.
const _: () = assert!(MAX_APP_COMMAND_BYTES <= MAX_SCHEDULE_COMMAND_BYTES);

const fn whole(least: u32, most: u32, step: u32) -> Value {
    Value::Whole(Whole { least, most, step })
}

const fn table(keys: &'static [Key]) -> Table {
    Table { keys, clashes: &[], needs: &[] }
}

const fn key(name: &'static str, value: Value, absent: &'static str, about: &'static str) -> Key {
    Key { name, value, absent: Absent::Means(absent), about }
}

const fn needed(name: &'static str, value: Value, about: &'static str) -> Key {
    Key { name, value, absent: Absent::Wrong, about }
}

const DETECTED: &str = "what is [detected](detection.md)";

/// The whole file.
pub(super) static FILE: Table = table(&[
    key("build", Value::Table(&BUILD), "", "How it is installed and built."),
    key("release", Value::Table(&RELEASE), "", "What is done before a new version starts."),
    key("web", Value::Table(&WEB), "", "What serves."),
    key("workers", Value::Named(&WORKERS), "", "What runs beside it, by name."),
    key("cron", Value::Named(&CRON), "", "What is run at certain times, by name."),
    key("env", Value::Variables, "none", "Variables of all commands, in production and previews."),
    key("resources", Value::Table(&RESOURCES), "", "The size of its sandbox."),
    key("production", Value::Table(&PRODUCTION), "", "What holds for the app itself alone."),
    key("preview", Value::Table(&PREVIEW), "", "What holds for previews of pull requests alone."),
]);

static BUILD: Table = table(&[
    key(
        "framework",
        Value::Framework,
        DETECTED,
        "Which framework it is, of those in [detection](detection.md#frameworks).",
    ),
    key(
        "install",
        Value::CommandOrNone,
        DETECTED,
        "Installs what it depends on; empty for nothing.",
    ),
    key("command", Value::CommandOrNone, DETECTED, "Builds it; empty for nothing."),
    key(
        "secrets",
        Value::VariableNames,
        "none",
        "Variables of the app that install and build see, and nothing else does: a token for a private registry.",
    ),
]);

static RELEASE: Table = table(&[key(
    "command",
    Value::CommandOrNone,
    "the `release` line of the Procfile",
    "Runs after the build, before the new version starts: migrations. Empty for nothing.",
)]);

static WEB: Table = Table {
    keys: &[
        key(
            "command",
            Value::Command,
            "the `web` line of the Procfile, then what is [detected](detection.md)",
            "What serves: it listens on `$PORT`.",
        ),
        key(
            "folder",
            Value::Folder,
            "none",
            "Serves the files of this folder instead of a command, as the build leaves them; it has an `index.html`. From the app's folder.",
        ),
        key(
            "single_page",
            Value::Flag,
            "as the framework is",
            "Whether what is no file in `folder` is answered with its `index.html`.",
        ),
        key("port", Value::Port, "3000", "Where it listens; `PORT` in its environment."),
        key("health", Value::Table(&HEALTH), "", "By what it is known that it works."),
    ],
    clashes: &[Clash { one: "command", is: None, other: "folder" }],
    needs: &[("single_page", "folder")],
};

static HEALTH: Table = Table {
    keys: &[
        key(
            "protocol",
            Value::Protocol,
            "`http`",
            "`http`: it answers below status 500. `tcp`: it takes a connection.",
        ),
        key("path", Value::UrlPath, "`/`", "What is asked for by HTTP."),
        key(
            "grace_seconds",
            whole(1, MAX_GRACE_SECS, 1),
            "120",
            "How long it may take from its start.",
        ),
    ],
    clashes: &[Clash { one: "protocol", is: Some("tcp"), other: "path" }],
    needs: &[],
};

static WORKERS: Named = Named {
    what: "worker",
    most: MAX_WORKERS,
    taken: &["web", "release"],
    each: table(&[needed(
        "command",
        Value::Command,
        "Runs beside what serves, with the same files and environment.",
    )]),
};

static CRON: Named = Named {
    what: "cron",
    most: MAX_SCHEDULES as usize,
    taken: &[],
    each: table(&[
        needed("schedule", Value::Cron, "When it is due, in UTC."),
        needed("command", Value::Command, "What is run; the sandbox is woken for it."),
        key(
            "timeout_seconds",
            whole(1, MAX_SCHEDULE_TIMEOUT.as_secs() as u32, 1),
            "600",
            "Until a run is ended.",
        ),
    ]),
};

static RESOURCES: Table = table(&[
    key("cpu", whole(1, MAX_CPU, 1), "2", "vCPUs."),
    key(
        "memory_mb",
        whole(MIN_MEMORY_MIB, MAX_MEMORY_MIB, MEMORY_STEP_MIB),
        "2048",
        "Memory in MiB.",
    ),
]);

const MAX_IDLE_MINUTES: u32 = (MAX_TTL.as_secs() / 60) as u32;

/// What `[production]` and `[preview]` hold.
const fn stage(cron: &'static str, idle_minutes: &'static str) -> [Key; 3] {
    [
        key("env", Value::Variables, "none", "Variables there; they go before those of `env`."),
        key("cron", Value::Flag, cron, "Whether `cron` is run there."),
        key(
            "idle_minutes",
            whole(0, MAX_IDLE_MINUTES, 1),
            idle_minutes,
            "Without use for so long, it is put to [sleep](sleep.md); 0 for never.",
        ),
    ]
}

static PRODUCTION_KEYS: [Key; 3] = stage("true", "0");
static PREVIEW_KEYS: [Key; 3] = stage("false", "5");
static PRODUCTION: Table = table(&PRODUCTION_KEYS);
static PREVIEW: Table = table(&PREVIEW_KEYS);

/// What people look for here, and where it is: a key by its path, and what is said of it.
pub(super) const ELSEWHERE: [(&str, &str); 12] = [
    ("database", "databases are not here yet"),
    ("databases", "databases are not here yet"),
    ("preview.database", "databases are not here yet"),
    ("preview.seed", "databases are not here yet"),
    (
        "services",
        "what serves is [web]; what runs beside it is [workers.NAME], and at certain times [cron.NAME]",
    ),
    (
        "processes",
        "what serves is [web]; what runs beside it is [workers.NAME], and at certain times [cron.NAME]",
    ),
    (
        "build.root",
        "this file lies in the app's folder; which that is, root_directory of the app says",
    ),
    ("build.output", "the folder that is served is `folder` in [web]"),
    (
        "preview.enabled",
        "whether pull requests have previews is decided before this file is read: `pando app set NAME --previews BOOL`",
    ),
    ("preview.paths", "each push to a pull request is deployed, whatever it changes"),
    (
        "preview.ttl_hours",
        "a preview is there as long as its pull request is open; `idle_minutes` puts it to sleep",
    ),
    ("sleep", "`idle_minutes` in [production] and [preview] says when it sleeps"),
];
