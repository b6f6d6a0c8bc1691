//! `pando app env ls`.

use pando_types::env::{EnvEntry, EnvList};

use crate::client::{ClientArgs, read};
use crate::commands::app::find;
use crate::commands::word;
use crate::error::Failure;
use crate::output;

/// Whose.
#[derive(Debug, clap::Args)]
pub struct LsArgs {
    /// The name or id of the app, or of a preview
    app: String,
}

/// Prints a table, or the list as JSON.
pub async fn run(client: &ClientArgs, args: LsArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let answer = api.get(&format!("/apps/{}/env", app.id)).await?;
    if client.json {
        return output::json(&answer);
    }
    let list: EnvList = read(&answer)?;
    output::line(&table(list.env))
}

fn table(env: Vec<EnvEntry>) -> String {
    let row = |entry: EnvEntry| vec![entry.key, word(&entry.scope), entry.value];
    output::table(&["NAME", "SCOPE", "VALUE"], env.into_iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_types::env::{EnvScope, MASK};

    #[test]
    fn a_value_keeps_to_its_line() {
        let entry = |key: &str, value: &str, secret, scope| EnvEntry {
            key: key.into(),
            value: value.into(),
            secret,
            scope,
        };
        let env = vec![
            entry("LEVEL", "info\nB=\u{1b}[2J", false, EnvScope::All),
            entry("TOKEN", MASK, true, EnvScope::Production),
        ];
        insta::assert_snapshot!(table(env), @r"
        NAME   SCOPE       VALUE
        LEVEL  all         info B= [2J
        TOKEN  production  ••••••••
        ");
    }
}
