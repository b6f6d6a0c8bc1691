//! `pando app`.

pub mod again;
mod build_log;
pub mod check;
pub mod create;
pub mod cron;
pub mod deliveries;
pub mod deploy_key;
pub mod domain;
pub mod env;
pub mod logs;
pub mod ls;
pub mod ps;
pub mod rm;
pub mod run;
pub mod set;
mod settings;
mod token;

use std::process::ExitCode;

use pando_types::app::App;
use pando_types::page::List;

use crate::client::{Client, read};
use crate::commands::noun_args::NounArgs;
use crate::error::Failure;

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make an app of a repository, deploy it, and print its URL
    Create(Box<create::CreateArgs>),
    /// Say what is wrong with the pando.toml of a folder, without a server
    Check(check::CheckArgs),
    /// List apps and their previews
    #[command(visible_alias = "list")]
    Ls,
    /// Deploy the head of its branch, or what is named, and show what that says
    Deploy(again::DeployArgs),
    /// Go back to an earlier deployment, as it was when it was ready
    Rollback(again::RollbackArgs),
    /// Start what is live anew, with the environment of now and without a build
    Restart(again::RestartArgs),
    /// Show what its processes say, or with --build its latest deployment
    Logs(logs::LogsArgs),
    /// List its processes
    Ps(ps::PsArgs),
    /// Run a command once where it is live
    Run(run::RunArgs),
    /// What it has run at certain times, by its pando.toml
    Cron(cron::CronArgs),
    /// Change an app and its previews, from the next deployment on
    Set(Box<set::SetArgs>),
    /// What webhooks said about its repository, newest first, and what became of each
    Deliveries(deliveries::DeliveriesArgs),
    /// What its deployments, and its previews', are given
    Env(env::EnvArgs),
    /// Print the key with which its repository is read over ssh, made where there is none
    DeployKey(deploy_key::DeployKeyArgs),
    /// Domains of your own that lead to it
    Domain(domain::DomainArgs),
    /// Remove an app with its previews
    #[command(visible_alias = "delete")]
    Rm(rm::RmArgs),
}

/// Runs one.
pub async fn run(args: NounArgs<Verb>) -> Result<ExitCode, Failure> {
    match args.verb {
        Verb::Run(verb) => return run::run(&args.client, verb).await,
        Verb::Cron(verb) => return cron::run(&args.client, verb).await,
        Verb::Create(verb) => create::run(&args.client, *verb).await?,
        Verb::Check(verb) => check::run(&verb)?,
        Verb::Ls => ls::run(&args.client).await?,
        Verb::Deploy(verb) => again::deploy(&args.client, verb).await?,
        Verb::Rollback(verb) => again::rollback(&args.client, verb).await?,
        Verb::Restart(verb) => again::restart(&args.client, verb).await?,
        Verb::Logs(verb) => logs::run(&args.client, verb).await?,
        Verb::Ps(verb) => ps::run(&args.client, verb).await?,
        Verb::Set(verb) => set::run(&args.client, *verb).await?,
        Verb::Deliveries(verb) => deliveries::run(&args.client, verb).await?,
        Verb::DeployKey(verb) => deploy_key::run(&args.client, verb).await?,
        Verb::Env(verb) => env::run(&args.client, verb).await?,
        Verb::Domain(verb) => domain::run(&args.client, verb).await?,
        Verb::Rm(verb) => rm::run(&args.client, verb).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The app with this id, or else this name.
async fn find(api: &Client, wanted: &str) -> Result<App, Failure> {
    let list: List<App> = read(&api.list("/apps").await?)?;
    pick(list.items, wanted).ok_or_else(|| {
        let error = anyhow::anyhow!("no app has the name or id `{wanted}`");
        Failure::new(error, "`pando app ls` shows what there is")
    })
}

fn pick(apps: Vec<App>, wanted: &str) -> Option<App> {
    let by_id = apps.iter().position(|app| app.id.to_string() == wanted);
    let named = |preview: bool| {
        let matches = |app: &App| app.name == wanted && app.is_preview == preview;
        apps.iter().position(matches)
    };
    // An app may be named as a pull request's preview is: its user named it.
    let at = by_id.or_else(|| named(false)).or_else(|| named(true))?;
    apps.into_iter().nth(at)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use pando_types::AppId;
    use pando_types::app::AppStatus;

    pub(crate) fn app(name: &str) -> App {
        App {
            id: AppId::new(),
            name: name.into(),
            git_url: "https://git.example/o/r".into(),
            has_git_token: false,
            has_deploy_key: false,
            git_branch: "main".into(),
            template: "base".into(),
            auto_deploy: true,
            framework: None,
            install_command: None,
            build_command: None,
            start_command: None,
            root_directory: String::new(),
            port: 3000,
            cpu: 2,
            memory_mb: 2048,
            status: AppStatus::Running,
            url: format!("http://{name}.preview.localhost"),
            sandbox_id: None,
            active_deployment_id: None,
            is_preview: false,
            pr_number: None,
            pr_state: None,
            repo_full_name: None,
            preview_url: None,
            parent_app_id: None,
            created_at: "2026-01-31T09:05:00.250Z".into(),
            updated_at: "2026-01-31T09:05:00.250Z".into(),
        }
    }

    #[test]
    fn an_id_comes_before_a_name_and_an_app_before_a_preview() {
        let (shop, blog) = (app("shop"), app("blog"));
        let impostor = app(&shop.id.to_string());
        let preview = App { is_preview: true, ..app("blog") };
        let apps = vec![preview, impostor, blog.clone(), shop.clone()];
        assert_eq!(pick(apps.clone(), &shop.id.to_string()), Some(shop));
        assert_eq!(pick(apps.clone(), "blog"), Some(blog));
        assert_eq!(pick(apps, "nope"), None);
    }
}
