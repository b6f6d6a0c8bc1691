//! `pando app set`.

use std::path::PathBuf;

use pando_types::app::{App, UpdateApp};

use super::settings::SettingsArgs;
use super::{find, token};
use crate::client::{ClientArgs, read};
use crate::commands::pair;
use crate::error::Failure;
use crate::output;

/// Whose, and what.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// The app's name or id
    app: String,
    /// A file with the token that opens its repository (- for standard input); an empty one
    /// takes the token away
    #[arg(long, value_name = "PATH")]
    git_token_file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Skips detection; empty to have it detected again
    #[arg(long)]
    framework: Option<String>,
    /// Replaces the detected start command; empty to have it detected again
    #[arg(long, value_name = "COMMAND")]
    start: Option<String>,
    /// Environment of its own deployments, instead of all it had (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair::parse)]
    env: Vec<(String, String)>,
    /// Environment of its previews, instead of all they had (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair::parse)]
    preview_env: Vec<(String, String)>,
    /// Whether a push deploys it
    #[arg(long, value_name = "BOOL")]
    auto_deploy: Option<bool>,
    /// Whether pull requests get a preview
    #[arg(long, value_name = "BOOL")]
    previews: Option<bool>,
}

/// Prints the app as JSON, or that it is changed.
pub async fn run(client: &ClientArgs, args: SetArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let detected = |given: Option<String>| given.map(|text| Some(text).filter(|it| !it.is_empty()));
    let token = args.git_token_file.as_deref().map(token::read).transpose()?;
    let settings = args.settings;
    let change = UpdateApp {
        git_token: detected(token),
        git_branch: settings.branch.map(Some),
        template: settings.template.map(Some),
        auto_deploy: args.auto_deploy.map(Some),
        previews: args.previews.map(Some),
        framework: detected(args.framework),
        install_command: settings.install.map(Some),
        build_command: settings.build.map(Some),
        start_command: detected(args.start),
        root_directory: settings.root.map(Some),
        port: settings.port.map(Some),
        env: pair::map(args.env).map(Some),
        preview_env: pair::map(args.preview_env).map(Some),
        cpu: settings.cpu.map(Some),
        memory_mb: settings.memory_mb.map(Some),
    };
    let answer = api.patch(&format!("/apps/{}", app.id), &change).await?;
    if client.json {
        return output::json(&answer);
    }
    let app: App = read(&answer)?;
    output::say(&format!("app {} is changed; it holds from its next deployment on", app.name));
    Ok(())
}
