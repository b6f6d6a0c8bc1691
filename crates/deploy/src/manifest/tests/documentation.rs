//! `docs/pando-toml.md` and `docs/pando.schema.json` say what the code does.
//! `PANDO_BLESS=1` writes the schema.

use std::path::PathBuf;

use super::super::keys::{Absent, FILE, Table, Value};
use super::super::*;
use super::good;

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

/// The row of each key that holds a value.
fn rows(table: &Table, path: &str, rows: &mut Vec<String>) {
    for key in table.keys {
        let path =
            if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        match &key.value {
            Value::Table(inner) => self::rows(inner, &path, rows),
            Value::Named(named) => self::rows(&named.each, &format!("{path}.NAME"), rows),
            value => {
                let wanted = match value {
                    // They have a page of their own.
                    Value::Framework => "the name of a framework".to_owned(),
                    value => value.wanted(),
                };
                let absent = match key.absent {
                    Absent::Wrong => "it is needed",
                    Absent::Means(default) => default,
                };
                rows.push(format!("| `{path}` | {wanted} | {absent} | {} |", key.about));
            }
        }
    }
}

#[test]
fn the_table_has_every_key() {
    let text = std::fs::read_to_string(docs("pando-toml.md")).unwrap();
    let mut wanted = Vec::new();
    rows(&FILE, "", &mut wanted);
    let written: Vec<_> = text.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(written, wanted, "docs/pando-toml.md should have:\n{}", wanted.join("\n"));
}

#[test]
fn the_example_is_read_and_has_every_key() {
    let text = std::fs::read_to_string(docs("pando-toml.md")).unwrap();
    let examples = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let examples: Vec<&str> = examples.collect();
    assert!(!examples.is_empty());
    for example in &examples {
        good(example);
    }
    // The one that is whole has every key but what another excludes.
    let whole: toml::Table = toml::from_str(examples[0]).unwrap();
    let mut missing = Vec::new();
    absent(&FILE, "", &whole, &mut missing);
    assert_eq!(missing, ["web.folder", "web.single_page", "web.health.protocol"]);
}

fn absent(table: &Table, path: &str, found: &toml::Table, missing: &mut Vec<String>) {
    for key in table.keys {
        let path =
            if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let value = found.get(key.name);
        let Some(value) = value else {
            missing.push(path);
            continue;
        };
        match &key.value {
            Value::Table(inner) => absent(inner, &path, value.as_table().unwrap(), missing),
            Value::Named(named) => {
                for (name, each) in value.as_table().unwrap() {
                    let path = format!("{path}.{name}");
                    let each = each.as_table().unwrap();
                    if key.name != "cron" || each.contains_key("timeout_seconds") {
                        absent(&named.each, &path, each, missing);
                    }
                }
            }
            _ => {}
        }
    }
}

#[test]
fn the_published_schema_is_that_of_the_code() {
    let text = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    let file = docs("pando.schema.json");
    if std::env::var_os("PANDO_BLESS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    assert!(written == text, "docs/pando.schema.json is old: PANDO_BLESS=1 writes it");
}
