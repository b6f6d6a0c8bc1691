//! What may be typed.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::direct_args::DirectArgs;
use crate::commands::noun_args::NounArgs;
use crate::commands::{
    app, bake, completions, doctor, key, org, preview, sandbox, serve, snapshot, teardown,
    template, volume,
};
use crate::error::Failure;

/// A live, isolated copy of your app for every pull request, each in its own microVM.
#[derive(Debug, Parser)]
#[command(name = "pando", version, arg_required_else_help = true, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The nouns, and what is done on this host.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: API, previews and sandboxes in one process
    Serve(serve::ServeArgs),
    /// Prepare a template ahead of time
    Bake(bake::BakeArgs),
    /// Check whether this host is ready, each failing line with its fix
    Doctor(doctor::DoctorArgs),
    /// Remove every sandbox, namespace, table and mount of a data folder
    Teardown(teardown::TeardownArgs),
    /// MicroVMs
    Sandbox(NounArgs<sandbox::Verb>),
    /// Sandboxes at one instant, to make others of
    Snapshot(NounArgs<snapshot::Verb>),
    /// Machines that sandboxes begin as
    Template(NounArgs<template::Verb>),
    /// Disks that outlive the sandboxes they are attached to
    Volume(NounArgs<volume::Verb>),
    /// Repositories with a stable URL
    App(NounArgs<app::Verb>),
    /// Show what the processes of an app say (as `app logs`)
    Logs(DirectArgs<app::logs::LogsArgs>),
    /// Run a command once where an app is live (as `app run`)
    Run(DirectArgs<app::run::RunArgs>),
    /// Apps that live as long as a pull request
    Preview(NounArgs<preview::Verb>),
    /// API keys
    Key(key::KeyArgs),
    /// Who owns everything else
    Org(org::OrgArgs),
    /// Print what makes a shell complete these commands
    Completions(completions::CompletionsArgs),
}

impl Command {
    /// Runs it. The exit code is the remote command's for `run`, `sandbox exec` and `sandbox shell`, else 0.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Serve(args) => crate::serve::run(args).await?,
            Self::Bake(args) => crate::bake::run(args).await?,
            Self::Doctor(args) => return crate::doctor::run(args).await,
            Self::Teardown(args) => crate::teardown::run(args).await?,
            Self::Sandbox(args) => return sandbox::run(args).await,
            Self::Snapshot(args) => snapshot::run(args).await?,
            Self::Template(args) => template::run(args).await?,
            Self::Volume(args) => volume::run(args).await?,
            Self::App(args) => return app::run(args).await,
            Self::Logs(direct) => app::logs::run(&direct.client, direct.args).await?,
            Self::Run(direct) => return app::run::run(&direct.client, direct.args).await,
            Self::Preview(args) => preview::run(args).await?,
            Self::Key(args) => key::run(args).await?,
            Self::Org(args) => org::run(args).await?,
            Self::Completions(args) => completions::run(&args, Cli::command())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, clap::error::ErrorKind> {
        let cli = Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())?;
        Ok(cli.command)
    }

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_dashes_belongs_to_the_remote_command() {
        let Ok(Command::Sandbox(args)) =
            parsed("pando sandbox exec 6f1c1f3e-8f57-4b5e-9a51-6d1f0d5a7c11 -- ls --json -l")
        else {
            panic!("not parsed")
        };
        let sandbox::Verb::Exec(exec) = args.verb else { panic!("not exec") };
        assert_eq!(exec.command, ["ls", "--json", "-l"]);
        assert!(!args.client.json);
    }

    #[test]
    fn json_may_follow_the_verb() {
        let Ok(Command::App(args)) = parsed("pando app ls --json") else { panic!("not parsed") };
        assert!(args.client.json);
    }

    #[test]
    fn logs_and_run_need_no_noun() {
        let Ok(Command::Run(run)) = parsed("pando run shop --json -- rake db:seed --json") else {
            panic!("not parsed")
        };
        assert_eq!((run.args.app.as_str(), run.args.command.len()), ("shop", 3));
        assert!(run.client.json && parsed("pando run shop").is_err());
        let Ok(Command::Logs(logs)) = parsed("pando logs shop -f --process web") else {
            panic!("not parsed")
        };
        assert!(logs.args.follow && logs.args.process.as_deref() == Some("web"));
        assert!(parsed("pando app logs shop --build --tail 3").is_err());
    }

    #[test]
    fn an_app_needs_a_name_and_a_repository() {
        assert!(parsed("pando app create shop --repo http://h/o/r --env A=b --env C=d").is_ok());
        assert!(parsed("pando app create --repo http://h/o/r").is_err());
        assert!(parsed("pando app create shop").is_err());
        assert!(parsed("pando app create shop --repo http://h/o/r --env novalue").is_err());
    }

    #[test]
    fn serve_has_defaults() {
        let Ok(Command::Serve(args)) = parsed("pando serve --data /tmp/x") else {
            panic!("not parsed")
        };
        assert_eq!(args.listen.to_string(), "127.0.0.1:7070");
        assert_eq!(args.suffix, "preview.localhost:7070");
        assert_eq!(args.host.data, std::path::Path::new("/tmp/x"));
    }
}
