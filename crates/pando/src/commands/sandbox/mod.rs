//! `pando sandbox`.

pub mod cp;
pub mod create;
pub mod exec;
pub mod fork;
pub mod lease;
pub mod logs;
pub mod ls;
pub mod rm;
pub mod schedule;
pub mod shell;
pub mod sleep;
mod stdin;
pub mod top;

use std::process::ExitCode;

use crate::commands::noun_args::NounArgs;
use crate::error::Failure;

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Restore a new sandbox from a template and print its id
    Create(create::CreateArgs),
    /// List sandboxes
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Run a command in a sandbox; its exit code becomes this program's
    Exec(exec::ExecArgs),
    /// Open a terminal in a sandbox; its exit code becomes this program's
    Shell(shell::ShellArgs),
    /// Print what commands have said in a sandbox
    Logs(logs::LogsArgs),
    /// Watch what runs in a sandbox, and what it uses
    Top(top::TopArgs),
    /// Copy a file into or out of a sandbox
    Cp(cp::CpArgs),
    /// Make copies of a sandbox that go on from this moment, and print their ids
    Fork(fork::ForkArgs),
    /// Save sandboxes and end their VMs; the next request wakes them
    Hibernate(sleep::SleepArgs),
    /// Let sandboxes that sleep go on
    Wake(sleep::SleepArgs),
    /// Keep a sandbox from being put to sleep for some time
    Lease(lease::LeaseArgs),
    /// Run commands in a sandbox at certain times
    Schedule(schedule::ScheduleArgs),
    /// Remove sandboxes with all in them
    #[command(visible_alias = "delete")]
    Rm(rm::RmArgs),
}

/// Runs one.
pub async fn run(args: NounArgs<Verb>) -> Result<ExitCode, Failure> {
    match args.verb {
        Verb::Create(verb) => create::run(&args.client, verb).await?,
        Verb::Ls(verb) => ls::run(&args.client, verb).await?,
        Verb::Exec(verb) => {
            return exec::run(&args.client, verb).await.map_err(Failure::of_exec);
        }
        Verb::Shell(verb) => {
            return shell::run(&args.client, verb).await.map_err(Failure::of_exec);
        }
        Verb::Logs(verb) => logs::run(&args.client, verb).await?,
        Verb::Top(verb) => top::run(&args.client, verb).await?,
        Verb::Cp(verb) => cp::run(&args.client, verb).await?,
        Verb::Fork(verb) => fork::run(&args.client, verb).await?,
        Verb::Hibernate(verb) => {
            sleep::run(&args.client, verb, sleep::Change::Hibernate).await?;
        }
        Verb::Wake(verb) => sleep::run(&args.client, verb, sleep::Change::Wake).await?,
        Verb::Lease(verb) => lease::run(&args.client, verb).await?,
        Verb::Schedule(noun) => schedule::run(&args.client, noun).await?,
        Verb::Rm(verb) => rm::run(&args.client, verb).await?,
    }
    Ok(ExitCode::SUCCESS)
}
