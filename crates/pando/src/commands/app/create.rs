//! `pando app create`.

use std::path::PathBuf;

use pando_types::app::{App, CreateApp};

use super::settings::SettingsArgs;
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
    #[command(flatten)]
    settings: SettingsArgs,
    /// Skips detection of the framework: nextjs, django, static ... (docs/detection.md has all)
    #[arg(long)]
    framework: Option<String>,
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
}

/// Prints the URL, or the app as JSON.
pub async fn run(client: &ClientArgs, args: CreateArgs) -> Result<(), Failure> {
    let settings = args.settings;
    let request = CreateApp {
        name: args.name,
        git_url: args.repo,
        git_token: args.git_token_file.as_deref().map(token::read).transpose()?,
        git_branch: settings.branch,
        template: settings.template,
        framework: args.framework,
        install_command: settings.install,
        build_command: settings.build,
        start_command: args.start,
        root_directory: settings.root,
        port: settings.port,
        env: pair::map(args.env),
        preview_env: pair::map(args.preview_env),
        previews: args.no_previews.then_some(false),
        cpu: settings.cpu,
        memory_mb: settings.memory_mb,
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
