//! Walks `fixtures/`: small trees shaped as real repositories are, each with the plan
//! that is expected of it. `PANDO_BLESS=1` writes what is found in its place.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::rules::RULES;
use super::sources::{Files, gather};
use super::*;
use crate::git::GitError;

/// A folder of this host in place of a mirror.
struct Tree(PathBuf);

#[async_trait::async_trait]
impl Files for Tree {
    async fn list(&self, folder: &str) -> Result<BTreeSet<String>, GitError> {
        let entries = std::fs::read_dir(self.0.join(folder)).into_iter().flatten().flatten();
        let names = entries.map(|entry| {
            let slash = if entry.file_type().unwrap().is_dir() { "/" } else { "" };
            format!("{}{slash}", entry.file_name().to_string_lossy())
        });
        Ok(names.collect())
    }

    async fn head(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, GitError> {
        let mut head = Vec::new();
        let file = std::fs::File::open(self.0.join(path)).unwrap();
        file.take(limit_bytes as u64).read_to_end(&mut head).unwrap();
        Ok(head)
    }
}

/// What a fixture holds beside its tree.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Expected {
    /// Where the app is in the tree.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    root_directory: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

async fn found(fixture: &Path, root_directory: String) -> Expected {
    let tree = Tree(fixture.join("tree"));
    let sources = gather(&tree, &root_directory).await.unwrap();
    let settings = Settings { host: Some("shop.preview.test".into()), ..Settings::default() };
    let (plan, error) = match detect(&settings, &sources) {
        Ok(plan) => (Some(plan), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Expected { root_directory, error, plan }
}

#[tokio::test]
async fn every_fixture_has_its_plan() {
    let mut frameworks = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut fixtures: Vec<_> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    fixtures.sort();
    for fixture in fixtures {
        let file = fixture.join("expected.toml");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let root = toml::from_str::<toml::Table>(&text).unwrap();
        let root = root.get("root_directory").and_then(toml::Value::as_str).unwrap_or_default();
        let found = found(&fixture, root.to_owned()).await;
        frameworks.extend(found.plan.as_ref().map(|plan| plan.framework.name()));
        if std::env::var_os("PANDO_BLESS").is_some() {
            std::fs::write(&file, toml::to_string_pretty(&found).unwrap()).unwrap();
            continue;
        }
        let expected: Result<Expected, _> = toml::from_str(&text);
        if expected.as_ref() != Ok(&found) {
            let name = fixture.file_name().unwrap().to_string_lossy().into_owned();
            wrong.push(format!("## {name}\n{}", toml::to_string_pretty(&found).unwrap()));
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
    for framework in Framework::ALL {
        assert!(frameworks.contains(framework.name()), "no fixture of {framework:?}");
    }
}

#[test]
fn the_documentation_has_every_rule_and_the_order_of_versions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/detection.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut wanted = Vec::new();
    for rule in RULES {
        let ways = rule
            .signs
            .iter()
            .map(|all| all.iter().map(|sign| sign.shown()).collect::<Vec<_>>().join(" and "));
        let ways = ways.collect::<Vec<_>>().join("; ");
        wanted.push(format!("| {} | `{}` | {ways} |", rule.label, rule.framework.name()));
    }
    for kind in tools::SHOWN {
        let places = kind.sources.iter().map(|source| match source.key {
            "" => format!("`{}`", source.file),
            key => format!("`{key}` in `{}`", source.file),
        });
        let places: Vec<_> = places.collect();
        let places = if places.is_empty() { "–".to_owned() } else { places.join(", ") };
        wanted.push(format!("| {} | {places} | {} |", kind.name, kind.default));
    }
    let missing: Vec<_> =
        wanted.iter().filter(|line| !text.contains(&format!("\n{line}"))).cloned().collect();
    assert!(missing.is_empty(), "docs/detection.md lacks:\n{}", missing.join("\n"));
}
