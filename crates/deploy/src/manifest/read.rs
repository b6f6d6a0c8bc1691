//! From a text to what it says, or to all that is wrong with it.

use std::ops::Range;

use pando_types::toml::{MAX_TOML_DEPTH, is_shallow};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::keys::{Absent, Clash, ELSEWHERE, FILE, Key, MAX_NAME_BYTES, Named, Table, Value};
use super::near::nearest;
use super::problem::Problem;
use super::value::{kind, wrong_variable};
use super::{MAX_BYTES, Manifest, Problems};
use crate::detect::shown;

/// Reads the text of a file, which `file` names.
pub(crate) fn read(file: &str, text: &str) -> Result<Manifest, Problems> {
    if text.len() > MAX_BYTES {
        return Err(Problems::too_large(file));
    }
    let wrong = |problems| Problems::new(file, text, problems);
    let of_toml = |error: toml::de::Error| {
        let end = text.trim_end().len();
        let span = error.span().unwrap_or(end..end);
        wrong(vec![Problem { span, text: format!("this is not TOML: {}", error.message()) }])
    };
    if !is_shallow(text) {
        let text =
            format!("its tables and lists lie more than {MAX_TOML_DEPTH} deep in each other");
        return Err(wrong(vec![Problem { span: 0..0, text }]));
    }
    let document = DeTable::parse(text).map_err(of_toml)?;
    let mut reader = Reader::default();
    reader.table(&FILE, "", document.get_ref(), document.span());
    if !reader.problems.is_empty() {
        return Err(wrong(reader.problems));
    }
    Manifest::deserialize(Deserializer::from(document)).map_err(of_toml)
}

/// A value with the key that it has in its table.
type Entry<'a, 'text> = (&'a Spanned<DeString<'text>>, &'a Spanned<DeValue<'text>>);

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn say(&mut self, span: Range<usize>, text: String) {
        self.problems.push(Problem { span, text });
    }

    /// A table whose keys are known; `path` is empty for the whole file.
    fn table(&mut self, table: &Table, path: &str, found: &DeTable<'_>, span: Range<usize>) {
        for (name, value) in found {
            match table.keys.iter().find(|key| key.name == name.get_ref()) {
                Some(key) => self.value(&key.value, &below(path, key.name), (name, value)),
                None => self.say(name.span(), unknown(table, path, name.get_ref())),
            }
        }
        let entry = |name: &str| found.iter().find(|(key, _)| key.get_ref() == name);
        for Key { name, value, absent, .. } in table.keys {
            if *absent == Absent::Wrong && entry(name).is_none() {
                let text = format!("{} has no `{name}`: {}", place(path), value.wanted());
                self.say(span.clone(), text);
            }
        }
        for Clash { one, is, other } in table.clashes {
            let Some(((_, one_value), (other_key, _))) = entry(one).zip(entry(other)) else {
                continue;
            };
            let says = |wanted: &str| matches!(one_value.get_ref(), DeValue::String(text) if text == wanted);
            if is.is_none_or(says) {
                let one = is.map_or_else(|| format!("`{one}`"), |is| format!("`{one} = \"{is}\"`"));
                let text = format!("`{other}` and {one} exclude each other: leave one of them out");
                self.say(other_key.span(), text);
            }
        }
        for (name, needed) in table.needs {
            if let (Some((key, _)), None) = (entry(name), entry(needed)) {
                self.say(key.span(), format!("`{name}` means nothing without `{needed}`"));
            }
        }
    }

    fn value(&mut self, wanted: &Value, path: &str, (key, value): Entry<'_, '_>) {
        match (wanted, value.get_ref()) {
            (Value::Table(table), DeValue::Table(found)) => {
                self.table(table, path, found, key.span());
            }
            (Value::Named(named), DeValue::Table(found)) => {
                self.named(named, path, found, key.span());
            }
            (Value::Variables, DeValue::Table(found)) => self.variables(path, found),
            (Value::VariableNames, DeValue::Array(found)) => {
                self.variable_names(wanted, path, found, value.span());
            }
            (_, found) => {
                if let Some(why) = wanted.wrong(found) {
                    self.say(value.span(), format!("`{path}` {why}"));
                }
            }
        }
    }

    fn named(&mut self, named: &Named, path: &str, found: &DeTable<'_>, span: Range<usize>) {
        if found.len() > named.most {
            let Named { most, what, .. } = named;
            self.say(span, format!("there are {} {what}s; the most is {most}", found.len()));
        }
        for (key, value) in found {
            let name: &str = key.get_ref();
            if named.taken.contains(&name) {
                let text = format!("a {} cannot be called {name}: that is [{name}]", named.what);
                self.say(key.span(), text);
            } else if !is_name(name) {
                let text = format!(
                    "`{}` is no name of a {}: a lower-case letter, then letters, digits and dashes, {MAX_NAME_BYTES} at most",
                    shown(name),
                    named.what
                );
                self.say(key.span(), text);
            } else if let DeValue::Table(table) = value.get_ref() {
                self.table(&named.each, &below(path, name), table, key.span());
            } else {
                let kind = kind(value.get_ref());
                let text =
                    format!("`{path}.{name}` is {kind}; it must be a table: [{path}.{name}]");
                self.say(value.span(), text);
            }
        }
    }

    fn variables(&mut self, path: &str, found: &DeTable<'_>) {
        for (key, value) in found {
            let name = shown(key.get_ref());
            if let Some(why) = wrong_variable(key.get_ref()) {
                self.say(key.span(), format!("`{name}` {why}"));
            }
            match value.get_ref() {
                DeValue::String(text) if text.contains('\0') => {
                    self.say(value.span(), format!("`{path}.{name}` holds a NUL"));
                }
                DeValue::String(_) => {}
                other => {
                    let kind = kind(other);
                    let text = format!("`{path}.{name}` is {kind}; it must be text, in quotes");
                    self.say(value.span(), text);
                }
            }
        }
    }

    fn variable_names(
        &mut self,
        wanted: &Value,
        path: &str,
        found: &[Spanned<DeValue<'_>>],
        span: Range<usize>,
    ) {
        if found.len() > super::keys::MAX_BUILD_SECRETS {
            self.say(span, format!("`{path}` must be {}", wanted.wanted()));
        }
        for name in found {
            let why = match name.get_ref() {
                DeValue::String(text) => {
                    wrong_variable(text).map(|why| format!("`{}` {why}", shown(text)))
                }
                other => {
                    Some(format!("`{path}` holds {}; it must be {}", kind(other), wanted.wanted()))
                }
            };
            if let Some(why) = why {
                self.say(name.span(), why);
            }
        }
    }
}

/// What is said of a key that nobody knows.
fn unknown(table: &Table, path: &str, name: &str) -> String {
    let full = below(path, name);
    if let Some((_, where_it_is)) = ELSEWHERE.iter().find(|(known, _)| *known == full) {
        return format!("`{}` is no key {}: {where_it_is}", shown(name), in_place(path));
    }
    let names = table.keys.iter().map(|key| key.name);
    let advice = if let Some(near) = nearest(name, names.clone()) {
        format!("the nearest is `{near}`")
    } else {
        let others: Vec<String> = tables_with(name);
        if others.is_empty() {
            let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
            format!("there is {}", names.join(", "))
        } else {
            format!("it is one of {}", others.join(", "))
        }
    };
    format!("`{}` is no key {}; {advice}", shown(name), in_place(path))
}

/// The tables that have a key of this name.
fn tables_with(name: &str) -> Vec<String> {
    fn walk(table: &'static Table, path: &str, name: &str, found: &mut Vec<String>) {
        for key in table.keys {
            if key.name == name && !path.is_empty() {
                found.push(place(path));
            }
            match &key.value {
                Value::Table(inner) => walk(inner, &below(path, key.name), name, found),
                Value::Named(named) => {
                    walk(&named.each, &format!("{}.NAME", below(path, key.name)), name, found);
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(&FILE, "", name, &mut found);
    found
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn place(path: &str) -> String {
    if path.is_empty() { "the file".into() } else { format!("[{path}]") }
}

fn in_place(path: &str) -> String {
    if path.is_empty() { "at the top".into() } else { format!("of [{path}]") }
}

/// Whether a worker or a cron may be called so.
fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    name.len() <= MAX_NAME_BYTES
        && letters.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && letters.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
