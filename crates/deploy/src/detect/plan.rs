//! What detection decides, kept with the deployment.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Framework;

/// How a deployment goes about it. Kept with the deployment, never with the app.
///
/// Build, release, start and workers run in the app's folder; only install runs in
/// [`Plan::install_folder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub framework: Framework,
    /// What is to be there before install, in the order to install it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Where install runs, from the repository's root; empty for the root itself.
    #[serde(default)]
    pub install_folder: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// Runs instead, where what install would do is there already: the repository's own hooks
    /// of its install, which may read more than what is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_hooks: Option<String>,
    /// Whether what install reads cannot be told by the names of files: any may count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub install_reads_all: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// Runs before the new version starts: the `release` line of a Procfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    pub serve: Serve,
    /// What runs beside it, in the order to start it; what serves is [`Plan::serve`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<PlannedProcess>,
    /// What is run at certain times, or could be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cron: Vec<PlannedCron>,
    /// By what it is known that the app works.
    #[serde(default, skip_serializing_if = "Health::is_default")]
    pub health: Health,
    /// Where the app listens; none where only the app's own port is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Variables of the app that only install and build see: what runs has none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_secrets: Vec<String>,
    /// The size of its sandbox, where somebody names one.
    #[serde(default, skip_serializing_if = "Resources::is_default")]
    pub resources: Resources,
    /// When its sandbox is put to sleep; none where the kind of app decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,
    /// Folders that go before PATH in every command, from the app's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// What the framework needs to answer on `0.0.0.0:$PORT` to the app's own host, then what
    /// `pando.toml` sets. The app's own environment wins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// A Dockerfile that is there, from the app's folder, used or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// What may go wrong, and what to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why, one sentence for each decision.
    pub reasons: Vec<String>,
}

/// A program of one version, as mise names both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tool {
    pub name: String,
    /// A version, the beginning of one (`20`), or what the tool calls it (`stable`).
    pub version: String,
    /// What said so: it follows on "because".
    pub reason: String,
}

/// What answers on the port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Serve {
    /// This command.
    Command(String),
    /// The files of a folder that is in the repository.
    Folder(Pages),
    /// The files that the build leaves.
    BuiltFolder(Built),
    /// The image of the Dockerfile that [`Plan::dockerfile`] names.
    Image {
        /// What runs in place of its own command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<String>,
    },
    /// That image, once it was built.
    Container(Container),
}

/// What runs in an image that was built, and as what everything in it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Container {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The image's variables.
    pub env: BTreeMap<String, String>,
    /// The folder that it works in: absolute, in the image.
    pub cwd: String,
    /// The user, and group, as the image names them; root where it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// A process that runs beside the one that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedProcess {
    pub name: String,
    pub command: String,
}

/// A command that is run at certain times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedCron {
    pub name: String,
    /// A cron expression that can be read, with one space between its fields; in UTC.
    pub schedule: String,
    pub command: String,
    /// Seconds until a run is ended.
    pub timeout_seconds: u32,
    /// Whether it is run at its times; if not, only when somebody wants it. Plans that do not say
    /// list only those that are.
    #[serde(default = "is_run")]
    pub is_on: bool,
}

const fn is_run() -> bool {
    true
}

/// By what it is known that an app works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Health {
    pub protocol: Protocol,
    /// What is asked for by HTTP: visible ASCII that begins with `/`.
    pub path: String,
    /// Seconds that it may take from its start; the server's own limit where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u32>,
}

/// How an app is asked whether it works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    /// It answers below status 500.
    #[default]
    Http,
    /// It takes a connection.
    Tcp,
}

/// The size of a sandbox; none where the app's own holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resources {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
}

/// When a sandbox is put to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Idle {
    Never,
    /// After so long without use.
    After {
        seconds: u32,
    },
}

impl Default for Health {
    fn default() -> Self {
        Self { protocol: Protocol::Http, path: "/".to_owned(), grace_seconds: None }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Http => write!(f, "GET {} below status 500", self.path)?,
            Protocol::Tcp => f.write_str("a connection is taken")?,
        }
        match self.grace_seconds {
            Some(seconds) => write!(f, " within {seconds} s"),
            None => Ok(()),
        }
    }
}

impl Health {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Resources {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Files to serve.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pages {
    /// From the app's folder; empty for that itself.
    pub folder: String,
    /// Whether what is no file is answered with `index.html`: its router is in the browser.
    #[serde(default)]
    pub single_page: bool,
}

/// Where a build leaves its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Built {
    /// The first of these that has an `index.html` is served; from the app's folder.
    pub folders: Vec<String>,
    /// As in [`Pages`].
    #[serde(default)]
    pub single_page: bool,
}

impl Plan {
    pub(super) fn new(framework: Framework, folder: &str, serve: Serve) -> Self {
        Self {
            framework,
            tools: Vec::new(),
            install_folder: folder.to_owned(),
            install: None,
            install_hooks: None,
            install_reads_all: false,
            build: None,
            release: None,
            serve,
            processes: Vec::new(),
            cron: Vec::new(),
            health: Health::default(),
            port: None,
            build_secrets: Vec::new(),
            resources: Resources::default(),
            idle: None,
            path: Vec::new(),
            env: BTreeMap::new(),
            dockerfile: None,
            warnings: Vec::new(),
            reasons: Vec::new(),
        }
    }

    /// The image that everything runs in, where there is one.
    pub(crate) fn container(&self) -> Option<&Container> {
        match &self.serve {
            Serve::Container(container) => Some(container),
            _ => None,
        }
    }

    /// Whether an image is built, or was.
    pub(crate) fn is_image(&self) -> bool {
        matches!(self.serve, Serve::Image { .. } | Serve::Container(_))
    }

    pub(super) fn because(&mut self, what: &str, why: impl AsRef<str>) {
        self.reasons.push(format!("{what}, because {}.", why.as_ref()));
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Adds a command to what install does.
    pub(super) fn installs(&mut self, command: impl AsRef<str>, why: impl AsRef<str>) {
        let install = self.install.take();
        self.install = Some(self.after(install, "Install", command.as_ref(), why.as_ref()));
    }

    /// Adds a command to what the build does.
    pub(super) fn builds(&mut self, command: impl AsRef<str>, why: impl AsRef<str>) {
        let build = self.build.take();
        self.build = Some(self.after(build, "Build", command.as_ref(), why.as_ref()));
    }

    /// A command after another, and not after its failure.
    fn after(&mut self, first: Option<String>, step: &str, command: &str, why: &str) -> String {
        let then = if first.is_some() { ", then" } else { "" };
        self.because(&format!("{step}{then}: `{command}`"), why);
        first.map_or_else(|| command.to_owned(), |first| format!("{first} && {command}"))
    }

    pub(super) fn starts(&mut self, command: impl AsRef<str>, why: impl AsRef<str>) {
        let command = command.as_ref();
        self.because(&format!("Start: `{command}`"), why);
        let command = command.to_owned();
        self.serve = match self.serve {
            Serve::Image { .. } => Serve::Image { command: Some(command) },
            _ => Serve::Command(command),
        };
    }

    pub(super) fn sets(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }
}
