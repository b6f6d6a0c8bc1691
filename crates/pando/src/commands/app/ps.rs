//! `pando app ps`.

use pando_types::page::List;
use pando_types::process::AppProcess;

use super::find;
use crate::client::{ClientArgs, read};
use crate::commands::word;
use crate::error::Failure;
use crate::output;

/// Whose.
#[derive(Debug, clap::Args)]
pub struct PsArgs {
    /// The app's name or id
    app: String,
}

/// Prints them as a table, or as JSON.
pub async fn run(client: &ClientArgs, args: PsArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let answer = api.get(&format!("/apps/{}/processes", app.id)).await?;
    if client.json {
        return output::json(&answer);
    }
    let rows = read::<List<AppProcess>>(&answer)?.items.into_iter().map(|process| {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            process.name,
            word(&process.state),
            or_none(process.pid.map(|pid| pid.to_string())),
            or_none(process.running_since.or(process.starts_at)),
            process.restarts.to_string(),
            or_none(process.last_exit_code.map(|code| code.to_string())),
        ]
    });
    let header = ["NAME", "STATE", "PID", "SINCE/UNTIL", "RESTARTS", "LAST EXIT"];
    output::line(&output::table(&header, rows))
}
