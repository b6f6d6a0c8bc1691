//! `pando app env set`.

use pando_types::env::{EnvSet, SetEnv};
use pando_types::limits::MAX_APP_ENV_BYTES;

use super::KindArgs;
use super::text::{self, STDIN};
use crate::client::{ClientArgs, read};
use crate::commands::app::find;
use crate::commands::word;
use crate::error::Failure;
use crate::output;

/// Whose, and what.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// The app's name or id
    app: String,
    /// NAME=VALUE; NAME and `-`, or NAME=-, for a value from standard input, whose last line break
    /// is not of it. A secret's value comes from there alone
    #[arg(value_name = "NAME=VALUE", value_parser = given)]
    variable: Given,
    /// Where a value comes from that is not given: standard input
    #[arg(value_name = "-", value_parser = [STDIN], allow_hyphen_values = true)]
    from: Option<String>,
    #[command(flatten)]
    kind: KindArgs,
}

/// What was typed of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    name: String,
    /// `None` where it was not typed.
    value: Option<String>,
    /// Whether it was said to come from standard input.
    from_stdin: bool,
}

/// Prints what was set, as JSON or in words.
pub async fn run(client: &ClientArgs, args: SetArgs) -> Result<(), Failure> {
    let name = args.variable.name.clone();
    let value = value(args.variable, args.from.is_some(), args.kind.secret)?;
    let api = client.client()?;
    let app = find(&api, &args.app).await?;
    let request = SetEnv { value, secret: args.kind.secret, scope: args.kind.scope };
    let answer = api.put(&format!("/apps/{}/env/{name}", app.id), &request).await?;
    if client.json {
        return output::json(&answer);
    }
    let set: EnvSet = read(&answer)?;
    output::say(&format!("{} of {} is set ({})", set.key, app.name, word(&set.scope)));
    Ok(())
}

fn given(text: &str) -> Result<Given, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let from_stdin = value == Some(STDIN);
    let value = value.filter(|_| !from_stdin).map(str::to_owned);
    Ok(Given { name: super::name(name)?, value, from_stdin })
}

fn value(given: Given, from_stdin: bool, secret: bool) -> Result<String, Failure> {
    let name = &given.name;
    match (given.value, from_stdin || given.from_stdin) {
        (Some(_), true) => Err(Failure::usage(
            format!("{name} has two values"),
            "leave out `-`, or what stands behind `=`",
        )),
        (Some(_), false) if secret => Err(Failure::usage(
            "a secret on the command line is read by every user of this machine",
            format!("give it to standard input: pando app env set APP {name} - --secret < FILE"),
        )),
        (Some(value), false) => Ok(value),
        (None, false) => Err(Failure::usage(
            format!("{name} has no value"),
            format!("{name}=VALUE, or {name} - to read it from standard input"),
        )),
        (None, true) => {
            // The line break that ends it is counted before it is taken off.
            let text = text::of_stdin("the value", MAX_APP_ENV_BYTES + 2)?;
            Ok(without_last_break(&text).to_owned())
        }
    }
}

fn without_last_break(text: &str) -> &str {
    let line = text.strip_suffix('\n');
    line.map_or(text, |line| line.strip_suffix('\r').unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_anything_and_a_name_may_not() {
        let value = |text: &str| given(text).unwrap().value;
        assert_eq!(value("A=b=c"), Some("b=c".into()));
        assert_eq!(value("A="), Some(String::new()));
        assert_eq!(value("A=--"), Some("--".into()));
        for text in ["A", "A=-"] {
            assert_eq!(value(text), None);
        }
        for text in ["=x", "A B=x", "../..=x", "1=x", ""] {
            assert!(given(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_is_given_once_and_a_secret_not_in_sight() {
        let read = |text: &str, stdin, secret| value(given(text).unwrap(), stdin, secret);
        assert_eq!(read("A=b", false, false).unwrap(), "b");
        for (text, stdin, secret) in
            [("A=b", true, false), ("A=b", false, true), ("A", false, false)]
        {
            assert!(read(text, stdin, secret).is_err(), "{text}");
        }
    }

    #[test]
    fn one_line_break_ends_it() {
        for (text, value) in
            [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("\r", "\r")]
        {
            assert_eq!(without_last_break(text), value);
        }
    }
}
