//! What one value may be: in words, and judged.

use pando_guest_protocol::SESSION_PORT;
use pando_node::control::Cron;
use pando_types::Timestamp;
use pando_types::env::is_name;
use pando_types::limits::{MAX_APP_COMMAND_BYTES, MAX_CRON_YEARS, MAX_ENV_NAME_BYTES};
use toml::de::{DeInteger, DeValue};

use super::keys::{MAX_BUILD_SECRETS, MAX_FOLDER_BYTES, MAX_URL_PATH_BYTES, PORT, Value, Whole};
use super::near::nearest;
use crate::detect::{Framework, inside};

/// Any time will do to tell what is never due: no year differs by more than a leap day.
const SOME_TIME: Timestamp = Timestamp::from_millis(1_767_225_600_000);

impl Value {
    /// What it must be; it follows on "it must be".
    pub(super) fn wanted(&self) -> String {
        match self {
            Self::Command => format!("a command of at most {MAX_APP_COMMAND_BYTES} bytes"),
            Self::CommandOrNone => {
                format!("a command of at most {MAX_APP_COMMAND_BYTES} bytes, or empty")
            }
            Self::Framework => {
                let known: Vec<_> = frameworks().map(|name| format!("`{name}`")).collect();
                format!("one of {}", known.join(", "))
            }
            Self::Protocol => "`http` or `tcp`".into(),
            Self::UrlPath => format!(
                "a path of at most {MAX_URL_PATH_BYTES} bytes that begins with `/`, in ASCII without blanks and `#`"
            ),
            Self::Folder => "a folder below the app's: relative, with no `..`".into(),
            Self::Cron => "five fields in UTC, such as `0 3 * * *`: every day at 3".into(),
            Self::Port => {
                format!("a whole number from 1 to 65535, and not {SESSION_PORT} (the agent's own)")
            }
            Self::Whole(Whole { least, most, step: 1 }) => {
                format!("a whole number from {least} to {most}")
            }
            Self::Whole(Whole { least, most, step }) => {
                format!("a whole number from {least} to {most} in steps of {step}")
            }
            Self::Flag => "true or false".into(),
            Self::VariableNames => {
                format!("a list of at most {MAX_BUILD_SECRETS} names of variables")
            }
            Self::Variables => "a table of variables, each with its text".into(),
            Self::Table(_) => "a table".into(),
            Self::Named(named) => {
                format!("a table of at most {} {}s, each a table", named.most, named.what)
            }
        }
    }

    /// Why it is not what it must be, where it is one value; it follows on its name.
    pub(super) fn wrong(&self, found: &DeValue<'_>) -> Option<String> {
        let good = match (self, found) {
            (Self::Command, DeValue::String(text)) if text.trim().is_empty() => false,
            (Self::Command | Self::CommandOrNone, DeValue::String(text)) => {
                text.len() <= MAX_APP_COMMAND_BYTES && !text.contains('\0')
            }
            (Self::Framework, DeValue::String(text)) => {
                if let (None, Some(near)) = (Framework::named(text), nearest(text, frameworks())) {
                    return Some(format!("is no framework that is known; the nearest is `{near}`"));
                }
                Framework::named(text).is_some()
            }
            (Self::Protocol, DeValue::String(text)) => matches!(&**text, "http" | "tcp"),
            (Self::UrlPath, DeValue::String(text)) => {
                let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
                text.starts_with('/')
                    && text.len() <= MAX_URL_PATH_BYTES
                    && text.bytes().all(visible)
            }
            (Self::Folder, DeValue::String(text)) => {
                text.len() <= MAX_FOLDER_BYTES
                    && inside(text).is_some()
                    && !text.contains(char::is_control)
                    && !text.split('/').any(|part| part.trim() == "..")
            }
            (Self::Cron, DeValue::String(text)) => return self.wrong_cron(text),
            (Self::Port, DeValue::Integer(number)) => whole(number)
                .is_some_and(|port| (1..=65535).contains(&port) && port != i64::from(SESSION_PORT)),
            (Self::Whole(Whole { least, most, step }), DeValue::Integer(number)) => {
                let number = whole(number).and_then(|number| u32::try_from(number).ok());
                number
                    .is_some_and(|number| (*least..=*most).contains(&number) && number % step == 0)
            }
            (Self::Flag, DeValue::Boolean(_)) => true,
            (_, found) => {
                return Some(format!("is {}; it must be {}", kind(found), self.wanted()));
            }
        };
        (!good).then(|| format!("must be {}", self.wanted()))
    }

    fn wrong_cron(&self, text: &str) -> Option<String> {
        let cron = match Cron::parse(text) {
            Ok(cron) => cron,
            Err(error) => {
                let error = error.to_string();
                let error = error.trim_end_matches('.');
                return Some(format!("cannot be read: {error}; it must be {}", self.wanted()));
            }
        };
        let never = cron.next_after(SOME_TIME).is_none();
        never.then(|| format!("is not due within {MAX_CRON_YEARS} years"))
    }
}

/// The frameworks by name.
pub(super) fn frameworks() -> impl Iterator<Item = &'static str> + Clone {
    Framework::ALL.into_iter().map(Framework::name)
}

/// What is wrong with the name of a variable; it follows on the name.
pub(super) fn wrong_variable(name: &str) -> Option<String> {
    if name == PORT {
        return Some("is what `port` in [web] says".into());
    }
    if name.len() > MAX_ENV_NAME_BYTES {
        return Some(format!("is longer than {MAX_ENV_NAME_BYTES} bytes"));
    }
    (!is_name(name))
        .then(|| "is no name of a variable: letters, digits and `_`, no digit first".into())
}

/// A kind of value, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// None where it is too great for any.
fn whole(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}
