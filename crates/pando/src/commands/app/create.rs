//! `pando app create`.

use std::path::PathBuf;

use pando_types::app::{App, CreateApp};

use super::token;

use crate::client::{ClientArgs, read};
use crate::commands::pair;
use crate::error::Failure;
use crate::output;

/// What it is made of.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Its name: lower-case letters, digits and dashes
    name: String,
    /// The repository: https://host/owner/repo or git@host:owner/repo
    #[arg(long, value_name = "URL")]
    repo: String,
    /// A file with the token that opens its repository over https (- for standard input)
    #[arg(long, value_name = "PATH")]
    git_token_file: Option<PathBuf>,
    /// The branch whose pushes are deployed
    #[arg(long)]
    branch: Option<String>,
    /// The port it listens on
    #[arg(long)]
    port: Option<i64>,
    /// The folder of the repository that holds it
    #[arg(long, value_name = "PATH")]
    root: Option<String>,
    /// Skips detection of the framework: nextjs, django, static ... (docs/detection.md has all)
    #[arg(long)]
    framework: Option<String>,
    /// Replaces the detected install command; empty for none
    #[arg(long, value_name = "COMMAND")]
    install: Option<String>,
    /// Replaces the detected build command; empty for none
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// Replaces the detected start command
    #[arg(long, value_name = "COMMAND")]
    start: Option<String>,
    /// Environment of its own deployments (repeatable); previews do not get it
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair::parse)]
    env: Vec<(String, String)>,
    /// Environment of its previews (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair::parse)]
    preview_env: Vec<(String, String)>,
    /// Give pull requests no preview
    #[arg(long)]
    no_previews: bool,
    /// vCPUs
    #[arg(long)]
    cpu: Option<i64>,
    /// Memory in MiB, in steps of 256
    #[arg(long)]
    memory_mb: Option<i64>,
}

/// Prints the URL, or the app as JSON.
pub async fn run(client: &ClientArgs, args: CreateArgs) -> Result<(), Failure> {
    let request = CreateApp {
        name: args.name,
        git_url: args.repo,
        git_token: args.git_token_file.as_deref().map(token::read).transpose()?,
        git_branch: args.branch,
        framework: args.framework,
        install_command: args.install,
        build_command: args.build,
        start_command: args.start,
        root_directory: args.root,
        port: args.port,
        env: pair::map(args.env),
        preview_env: pair::map(args.preview_env),
        previews: args.no_previews.then_some(false),
        cpu: args.cpu,
        memory_mb: args.memory_mb,
        ..CreateApp::default()
    };
    let answer = client.client()?.post("/apps", &request).await?;
    if client.json {
        return output::json(&answer);
    }
    let app: App = read(&answer)?;
    output::say(&format!(
        "app {} ({}); `pando app logs {} --build -f` follows it",
        app.name, app.id, app.name
    ));
    output::line(&app.url)
}
