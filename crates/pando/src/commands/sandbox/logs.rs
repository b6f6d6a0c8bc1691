//! `pando sandbox logs`.

use pando_types::SandboxId;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Client, ClientArgs, Events};
use crate::error::Failure;
use crate::output;

/// Whose, and which lines.
#[derive(Debug, clap::Args)]
pub struct LogsArgs {
    /// The sandbox
    id: SandboxId,
    /// Go on with what comes, until Ctrl-C or the sandbox's end
    #[arg(short, long)]
    follow: bool,
    /// Of what is kept, only the last so many lines
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
    /// Only standard output, or only standard error
    #[arg(long, value_enum, default_value_t = Stream::Both)]
    stream: Stream,
    /// Begin each line with its time
    #[arg(short, long)]
    timestamps: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Stream {
    Both,
    Stdout,
    Stderr,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Prints lines. With --json: one object of all lines, or with --follow one object a line.
pub async fn run(client: &ClientArgs, args: LogsArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let mut query = vec![("stream", args.stream.word().to_owned())];
    query.extend(args.tail.map(|tail| ("tail", tail.to_string())));
    let request = api.request(Method::GET, &format!("/sandboxes/{}/logs", args.id));
    if args.follow {
        query.push(("follow", "true".to_owned()));
        let events = api.events(request.query(&query)).await?;
        return tokio::select! {
            outcome = follow(events, args.timestamps, client.json) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
    }
    if args.timestamps {
        query.push(("timestamps", "true".to_owned()));
    }
    print(&api, request.query(&query), client.json).await
}

async fn print(api: &Client, request: reqwest::RequestBuilder, json: bool) -> Result<(), Failure> {
    let text = api.text(request).await?;
    if json {
        return output::json(&json!({"lines": text.lines().collect::<Vec<_>>()}));
    }
    output::raw(&output::printable(&text))
}

/// What one event says.
#[derive(Deserialize)]
struct Line {
    line: String,
    time: String,
}

async fn follow(mut events: Events, timestamps: bool, json: bool) -> Result<(), Failure> {
    while let Some(event) = events.next().await? {
        if event.name == "error" {
            let error = anyhow::Error::msg(event.data).context("the log broke off");
            return Err(Failure::new(error, "`pando sandbox ls` shows whether the sandbox lives"));
        }
        if json {
            output::line(&event.data)?;
            continue;
        }
        let line: Line = serde_json::from_str(&event.data).map_err(anyhow::Error::new)?;
        let text = output::printable(&line.line);
        output::line(&if timestamps { format!("{} {text}", line.time) } else { text })?;
    }
    Ok(())
}
