//! Why there is no plan.

use crate::manifest::Problems;

/// Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DetectError {
    #[error("the repository has no folder {0}; set root_directory to one that is there")]
    NoFolder(String),
    #[error(
        "found nothing that is known {0}: no package.json, index.html, requirements.txt, go.mod and the like; set start_command, or root_directory if the app is in another folder"
    )]
    Nothing(String),
    #[error("{0}")]
    Manifest(Problems),
    #[error("{0} is no JSON object: {1}")]
    PackageJson(String, String),
    #[error(
        "package.json has neither a start nor a build script, and there is no server.js, index.js or `main`; add a start script or set start_command"
    )]
    NoStart,
    #[error(
        "this is the root of a monorepo, and nothing starts here; set root_directory to the app's folder{apps}"
    )]
    Monorepo {
        /// The folders that may be meant, as the end of the sentence.
        apps: String,
    },
    #[error(
        "the framework is set to static, and there is no index.html; set build_command, or root_directory"
    )]
    NoPage,
    #[error("{file} says `{said}`, which is no version of {tool} that is known; there is {known}")]
    Version { tool: &'static str, file: String, said: String, known: String },
    #[error(
        "{label} is among the dependencies, and no file such as main.py or app.py has a line `{line}`; set start_command"
    )]
    NoEntry { label: &'static str, line: &'static str },
    #[error(
        "there is no main.py, app.py or the like, and no Procfile; add one, or set start_command"
    )]
    NoScript,
    #[error("there are several {what}: {names}; {fix}")]
    ManyPrograms { what: &'static str, names: String, fix: &'static str },
    #[error(
        "Cargo.toml is that of a workspace and has no package of its own; set root_directory to the folder of one"
    )]
    NoCargoPackage,
    #[error("there is no config.ru and no app.rb; add one, a Procfile, or set start_command")]
    NoRack,
    #[error("there is no index.php and no public/index.php; set start_command")]
    NoIndexPhp,
    #[error("deno.json has no start task, and there is no main.ts; add one or set start_command")]
    NoDenoStart,
    #[error("the Procfile has no web line; add one or set start_command")]
    NoWeb,
    #[error("the framework is set to {0}, and there is no {0}; set another, or root_directory")]
    NoFile(&'static str),
}
