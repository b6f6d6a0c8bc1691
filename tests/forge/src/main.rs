//! `pando-forge`: the stand-in for GitHub as a program, for the demo.
//!
//! `serve` runs it; the other commands ask a running one. What they did goes to
//! standard output, one line each; logs go to standard error.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::{Parser, Subcommand};
use pando_forge::standin::{Client, Done, NamePull, OpenPull};
use pando_forge::{Answer, Delivery, Forge, Settings, Webhook};
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for GitHub: git over HTTP, a few REST calls, signed webhooks.
#[derive(Debug, Parser)]
#[command(name = "pando-forge", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Which running stand-in is meant.
#[derive(Debug, clap::Args)]
struct Running {
    /// Its address.
    #[arg(long, env = "PANDO_FORGE_URL", default_value = "http://127.0.0.1:7071")]
    forge: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the stand-in until SIGTERM or Ctrl-C.
    Serve {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:7071")]
        listen: SocketAddr,
        /// Its folder: empty, or an earlier stand-in's. Emptied at each start.
        #[arg(long)]
        root: PathBuf,
        /// Its address in everything it says of itself; by default where it listens.
        #[arg(long)]
        public_url: Option<String>,
        /// Where webhooks go.
        #[arg(long)]
        webhook_url: String,
        /// What webhooks are signed with.
        #[arg(long, env = "PANDO_GITHUB_WEBHOOK_SECRET", hide_env_values = true)]
        webhook_secret: String,
        /// What REST clients must show to write, and git clients of other machines to push.
        #[arg(long, env = "PANDO_GITHUB_TOKEN", hide_env_values = true)]
        token: String,
    },
    /// Make the repository pando/hello, a small Node app.
    DemoRepo {
        #[command(flatten)]
        running: Running,
    },
    /// Open a pull request from a pushed branch into the default branch.
    OpenPr {
        /// owner/name
        repo: String,
        /// The branch.
        #[arg(long)]
        branch: String,
        /// Its title.
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        running: Running,
    },
    /// Close a pull request without merging it.
    ClosePr {
        /// owner/name
        repo: String,
        /// Its number.
        number: u64,
        #[command(flatten)]
        running: Running,
    },
    /// Open a closed pull request again.
    ReopenPr {
        /// owner/name
        repo: String,
        /// Its number.
        number: u64,
        #[command(flatten)]
        running: Running,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .init();
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pando-forge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { listen, root, public_url, webhook_url, webhook_secret, token } => {
            ensure!(
                !webhook_secret.is_empty(),
                "set PANDO_GITHUB_WEBHOOK_SECRET to what Pando has"
            );
            ensure!(!token.is_empty(), "set PANDO_GITHUB_TOKEN to what Pando has");
            let webhook = Webhook { url: webhook_url, secret: webhook_secret };
            let settings = Settings {
                listen,
                public_url,
                webhook: Some(webhook),
                ..Settings::new(root, token)
            };
            serve(settings).await
        }
        Command::DemoRepo { running } => {
            let done = Client::new(&running.forge)?.demo_repo().await?;
            println!("made {}", done.repo);
            println!("clone it: git clone {}", done.clone_url);
            Ok(())
        }
        Command::OpenPr { repo, branch, title, running } => {
            let wanted = OpenPull { repo, branch, title };
            report("opened", &Client::new(&running.forge)?.open_pull(&wanted).await?)
        }
        Command::ClosePr { repo, number, running } => {
            let wanted = NamePull { repo, number };
            report("closed", &Client::new(&running.forge)?.close_pull(&wanted).await?)
        }
        Command::ReopenPr { repo, number, running } => {
            let wanted = NamePull { repo, number };
            report("reopened", &Client::new(&running.forge)?.reopen_pull(&wanted).await?)
        }
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let target = settings.webhook.as_ref().map(|webhook| webhook.url.clone()).unwrap_or_default();
    let forge = Forge::start(settings).await?;
    println!("the forge stand-in serves {}", forge.url());
    println!("webhooks go to {target}");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    forge.stop().await;
    println!("stopped");
    Ok(())
}

/// Says what was done; fails where Pando did not take the webhook.
fn report(verb: &str, done: &Done) -> anyhow::Result<()> {
    if let Some(number) = done.number {
        println!("{verb} pull request {number} of {}", done.repo);
    }
    for Delivery { event, action, answer, .. } in &done.deliveries {
        let name = action.as_ref().map_or_else(|| event.clone(), |it| format!("{event} {it}"));
        match answer {
            Answer::Answered { status, body } if (200..300).contains(status) => {
                println!("webhook {name}: {status} {}", body.trim());
            }
            Answer::Answered { status, body } => {
                bail!("webhook {name} was refused with {status}: {}", body.trim());
            }
            Answer::Failed { reason } => bail!("webhook {name} was not taken: {reason}"),
        }
    }
    Ok(())
}
