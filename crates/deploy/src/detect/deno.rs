//! Deno.

use serde_json::Value;

use super::facts::Facts;
use super::plan::{Plan, Serve};
use super::rules::Rule;
use super::{DetectError, tools};

const FILES: [&str; 5] = ["main.ts", "server.ts", "index.ts", "mod.ts", "main.js"];

pub(super) fn plan(rule: &Rule, facts: &Facts<'_>, why: &str) -> Result<Plan, DetectError> {
    let sources = facts.sources;
    let start = Serve::Command(String::new());
    let mut plan = Plan::new(rule.framework, &sources.app.path, start);
    plan.because(rule.label, why);
    tools::add(&tools::DENO, facts, &mut plan)?;
    let frozen = if sources.has("deno.lock") { " --frozen" } else { "" };
    let why = if frozen.is_empty() { "there is no deno.lock" } else { "deno.lock is there" };
    plan.installs(format!("deno install{frozen}"), why);
    let config = sources.any_text(&["deno.json", "deno.jsonc"]).unwrap_or_default();
    let config: Value = serde_json::from_str(&without_comments(config)).unwrap_or_default();
    let has_task = |name: &str| config.get("tasks").is_some_and(|tasks| tasks.get(name).is_some());
    if has_task("build") {
        plan.builds("deno task build", "deno.json has a build task");
    }
    if facts.starts_itself() {
        return Ok(plan);
    }
    // Deno.serve listens there unless the code names a port.
    let address = "DENO_SERVE_ADDRESS=tcp:0.0.0.0:$PORT";
    if let Some(task) = ["start", "serve", "preview"].into_iter().find(|task| has_task(task)) {
        plan.starts(format!("{address} deno task {task}"), format!("deno.json has a {task} task"));
    } else if let Some(file) = sources.app.first(&FILES) {
        let exports = sources.text(file).is_some_and(|code| code.contains("export default"));
        let command = if exports {
            format!("deno serve --allow-all --host 0.0.0.0 --port $PORT {file}")
        } else {
            format!("{address} deno run --allow-all {file}")
        };
        plan.starts(command, format!("{file} is there and there is no start task"));
    } else {
        return Err(DetectError::NoDenoStart);
    }
    Ok(plan)
}

/// JSON with comments, without them: outside of strings, from `//` to the line's end and
/// between `/*` and `*/`; and without the comma that may come before a bracket.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let mut is_string = false;
    while let Some(letter) = letters.next() {
        match (is_string, letter, letters.peek()) {
            (true, '\\', Some(_)) => {
                plain.push(letter);
                plain.extend(letters.next());
                continue;
            }
            (_, '"', _) => is_string = !is_string,
            (false, '/', Some('/')) => {
                letters.by_ref().find(|letter| *letter == '\n');
                continue;
            }
            (false, '/', Some('*')) => {
                letters.next();
                let mut last = ' ';
                letters
                    .by_ref()
                    .find(|letter| std::mem::replace(&mut last, *letter) == '*' && *letter == '/');
                continue;
            }
            (false, ']' | '}', _) => {
                let end = plain.trim_end().strip_suffix(',').map(str::len);
                plain.truncate(end.unwrap_or(plain.len()));
            }
            _ => {}
        }
        plain.push(letter);
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_go() {
        let text = "{ // a\n \"a\": \"//\\\"\", /* b ** */ \"b\": [1, 2,\n], }";
        let value: Value = serde_json::from_str(&without_comments(text)).unwrap();
        assert_eq!(value, serde_json::json!({ "a": "//\"", "b": [1, 2] }));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a\"/*\\\\,}\n]{0,60}") {
            let _ = without_comments(&text);
        }
    }
}
