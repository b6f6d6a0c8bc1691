//! `pando app domain`.

pub mod add;
pub mod check;
pub mod ls;
pub mod rm;

use pando_types::domain::{AppDomain, DomainName};

use crate::client::ClientArgs;
use crate::commands::word;
use crate::error::Failure;
use crate::output;

/// The noun's arguments.
#[derive(Debug, clap::Args)]
pub struct DomainArgs {
    #[command(subcommand)]
    pub verb: Verb,
}

/// Its verbs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Add a domain, and show the DNS record that it waits for
    Add(OneArgs),
    /// List the domains of an app
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Look the records of a domain up now
    Check(OneArgs),
    /// Remove a domain: it leads nowhere at once
    #[command(visible_alias = "delete")]
    Rm(OneArgs),
}

/// One domain of an app.
#[derive(Debug, clap::Args)]
pub struct OneArgs {
    /// The app's name or id
    app: String,
    /// The full name, as in app.example.com
    #[arg(value_parser = name)]
    domain: String,
}

/// Runs one.
pub async fn run(client: &ClientArgs, args: DomainArgs) -> Result<(), Failure> {
    match args.verb {
        Verb::Add(verb) => add::run(client, verb).await,
        Verb::Ls(verb) => ls::run(client, verb).await,
        Verb::Check(verb) => check::run(client, verb).await,
        Verb::Rm(verb) => rm::run(client, verb).await,
    }
}

/// A name, which becomes a part of a path.
fn name(text: &str) -> Result<String, String> {
    text.parse().map(|name: DomainName| name.to_string()).map_err(|error| error.to_string())
}

/// What is said of one domain: how far it is, and what it waits for.
fn told(domain: &AppDomain) -> String {
    let mut text = format!("{} is {}", domain.domain, word(&domain.status));
    if let Some(reason) = &domain.reason {
        text.push_str(&format!(": {}", reason.replace(char::is_control, " ")));
    }
    let records = domain.records.iter().map(|record| {
        vec![word(&record.kind), record.name.clone(), record.value.clone(), word(&record.purpose)]
    });
    let table = output::table(&["TYPE", "NAME", "VALUE", "PURPOSE"], records);
    format!("{text}\n{table}\n{}", domain.dns_note)
}
