//! The one comment that a pull request gets from each app: what is served where,
//! of which commit, and what went wrong. Pure.

use std::fmt::Write;

use pando_types::AppId;
use pando_types::app::{DeploymentStatus, Phase};

/// The lines of a failed deployment's log that are shown.
pub(super) const LOG_TAIL_LINES: usize = 30;
/// The most characters of them: a comment holds 65,536 in all.
const MAX_TAIL_CHARS: usize = 20_000;

/// What the comment tells.
#[derive(Debug, Clone)]
pub(super) struct Facts<'a> {
    pub app_name: &'a str,
    pub url: &'a str,
    /// Whether the preview is being removed, or gone.
    pub closed: bool,
    /// The commit that is served now.
    pub serving: Option<&'a str>,
    pub latest: Option<Latest<'a>>,
}

/// The newest deployment.
#[derive(Debug, Clone)]
pub(super) struct Latest<'a> {
    pub status: DeploymentStatus,
    pub commit: &'a str,
    pub error: Option<&'a str>,
    pub phases: &'a [Phase],
    pub log_tail: &'a str,
}

/// What makes the comment ours, on the pull request and across its reopening.
pub(super) fn marker(app: AppId) -> String {
    format!("<!-- pando:{app} -->")
}

/// The comment's Markdown.
pub(super) fn body(marker: &str, facts: &Facts<'_>) -> String {
    let mut text = format!("{marker}\n**Preview of {}**: ", facts.app_name);
    // Writing to a string cannot fail.
    let _ = if facts.closed {
        writeln!(
            text,
            "removed, with everything in it. It comes back at the same address if the pull request is reopened."
        )
    } else {
        writeln!(text, "{}", facts.url)
    };
    if facts.closed {
        return text;
    }
    let _ = writeln!(text, "\n| | |\n| --- | --- |");
    let serving = facts
        .serving
        .map_or_else(|| "nothing yet".to_owned(), |commit| format!("`{}`", short(commit)));
    let _ = writeln!(text, "| Serving | {serving} |");
    let Some(latest) = &facts.latest else {
        return text;
    };
    let _ = writeln!(text, "| Latest | `{}`: {} |", short(latest.commit), word(latest.status));
    let times: Vec<String> = latest.phases.iter().filter_map(time).collect();
    if !times.is_empty() {
        let _ = writeln!(text, "| Times | {} |", times.join(", "));
    }
    if let Some(error) = latest.error.filter(|_| latest.status == DeploymentStatus::Failed) {
        let said = format!("{error}\n\n{}", tail(latest.log_tail));
        let fence = fence(&said);
        let _ =
            writeln!(text, "\nThe deployment failed:\n\n{fence}text\n{}\n{fence}", said.trim_end());
        if facts.serving.is_some() {
            let _ = writeln!(text, "\nThe version before it is still served.");
        }
    }
    text
}

fn word(status: DeploymentStatus) -> &'static str {
    match status {
        DeploymentStatus::Live => "live",
        DeploymentStatus::Failed => "failed",
        DeploymentStatus::Cancelled => "cancelled",
        DeploymentStatus::Superseded => "superseded",
        DeploymentStatus::Queued => "queued",
        DeploymentStatus::Fetching
        | DeploymentStatus::Detecting
        | DeploymentStatus::Installing
        | DeploymentStatus::Building
        | DeploymentStatus::Releasing
        | DeploymentStatus::Starting
        | DeploymentStatus::Checking => "being deployed",
    }
}

fn time(phase: &Phase) -> Option<String> {
    let name = match phase.status {
        DeploymentStatus::Queued => "queue",
        DeploymentStatus::Fetching => "fetch",
        DeploymentStatus::Installing => "install",
        DeploymentStatus::Building => "build",
        DeploymentStatus::Checking => "start",
        // Too short to matter, or an end.
        _ => return None,
    };
    let tenths = phase.duration_ms / 100;
    (tenths > 0).then(|| format!("{name} {}.{} s", tenths / 10, tenths % 10))
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or("(being resolved)")
}

/// The end of a log, without what a terminal would act on.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let lines = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
    let skip = lines.chars().count().saturating_sub(MAX_TAIL_CHARS);
    let mut clean = String::new();
    let mut rest = lines.chars().skip(skip).peekable();
    while let Some(next) = rest.next() {
        match next {
            // A colour: ESC [ … letter.
            '\u{1b}' if rest.peek() == Some(&'[') => {
                while rest.next().is_some_and(|code| !code.is_ascii_alphabetic()) {}
            }
            '\n' | '\t' => clean.push(next),
            control if control.is_control() => {}
            other => clean.push(other),
        }
    }
    clean
}

/// More backticks than any run in the text: nothing in it ends the block.
fn fence(text: &str) -> String {
    let runs = text.split(|letter| letter != '`').map(str::len);
    "`".repeat(runs.max().unwrap_or(0).max(2) + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn facts<'a>(latest: Option<Latest<'a>>, serving: Option<&'a str>) -> Facts<'a> {
        Facts { app_name: "shop", url: "https://pr-7.example", closed: false, serving, latest }
    }

    #[test]
    fn a_live_preview() {
        let phases = [
            Phase { status: DeploymentStatus::Fetching, duration_ms: 1290 },
            Phase { status: DeploymentStatus::Detecting, duration_ms: 12 },
            Phase { status: DeploymentStatus::Installing, duration_ms: 61_000 },
        ];
        let status = DeploymentStatus::Live;
        let latest = Latest { status, commit: COMMIT, error: None, phases: &phases, log_tail: "x" };
        assert_eq!(
            body("<!-- m -->", &facts(Some(latest), Some(COMMIT))),
            "<!-- m -->\n**Preview of shop**: https://pr-7.example\n\n| | |\n| --- | --- |\n\
             | Serving | `0123456` |\n| Latest | `0123456`: live |\n\
             | Times | fetch 1.2 s, install 61.0 s |\n"
        );
    }

    #[test]
    fn a_failed_one_shows_why_and_what_is_still_served() {
        let latest = Latest {
            status: DeploymentStatus::Failed,
            commit: COMMIT,
            error: Some("`npm ci` failed with exit code 1"),
            phases: &[],
            log_tail: "\u{1b}[31mnpm ERR\u{1b}[0m\n```\n@everyone\u{7}\n",
        };
        let text = body("m", &facts(Some(latest), Some(COMMIT)));
        assert!(
            text.contains(
                "````text\n`npm ci` failed with exit code 1\n\nnpm ERR\n```\n@everyone\n````\n"
            ),
            "{text}"
        );
        assert!(text.contains("still served"), "{text}");
    }

    #[test]
    fn a_closed_one_says_no_more_than_that() {
        let closed = Facts { closed: true, ..facts(None, None) };
        assert!(body("m", &closed).starts_with("m\n**Preview of shop**: removed"));
    }

    proptest! {
        #[test]
        fn no_log_breaks_out_of_its_block(log in "[`~a\\n\u{1b}\\[m]{0,200}", error in "[`a\\n]{0,20}") {
            let status = DeploymentStatus::Failed;
            let latest = Latest { status, commit: COMMIT, error: Some(&error), phases: &[], log_tail: &log };
            let text = body("m", &facts(Some(latest), None));
            let fence = text.lines().find(|line| line.starts_with("```")).unwrap();
            let fence = fence.strip_suffix("text").unwrap();
            let closing = text.lines().filter(|line| line.trim_start().starts_with(fence)).count();
            prop_assert_eq!(closing, 2);
        }
    }
}
