//! Rust.

use super::facts::Facts;
use super::plan::{Plan, Serve};
use super::rules::Rule;
use super::text::{quoted, shown};
use super::{DetectError, tools};

/// The longest name of a program.
const MAX_NAME_BYTES: usize = 128;

pub(super) fn plan(rule: &Rule, facts: &Facts<'_>, why: &str) -> Result<Plan, DetectError> {
    let sources = facts.sources;
    let start = Serve::Command(String::new());
    let mut plan = Plan::new(rule.framework, &sources.app.path, start);
    plan.because(rule.label, why);
    tools::add(&tools::RUST, facts, &mut plan)?;
    let is_locked =
        sources.has("Cargo.lock") || sources.above.iter().any(|dir| dir.has("Cargo.lock"));
    let locked = if is_locked { " --locked" } else { "" };
    let why = if is_locked { "Cargo.lock is there" } else { "there is no Cargo.lock" };
    plan.installs(format!("cargo fetch{locked}"), why);
    let manifest = sources.text("Cargo.toml").unwrap_or_default();
    let manifest = super::text::toml(manifest).unwrap_or_default();
    let package = manifest.get("package");
    let text = |key: &str| package.and_then(|package| package.get(key)?.as_str());
    let bins: Vec<&str> = manifest
        .get("bin")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|bin| bin.get("name")?.as_str())
        .collect();
    let name = text("default-run")
        .or(match bins[..] {
            [one] => Some(one),
            _ => None,
        })
        .or_else(|| text("name").filter(|name| bins.is_empty() || bins.contains(name)));
    let Some(name) = name.filter(|name| name.len() <= MAX_NAME_BYTES) else {
        if facts.starts_itself() {
            plan.builds(format!("cargo build --release{locked}"), "Cargo.toml is there");
            return Ok(plan);
        }
        return Err(if package.is_none() {
            DetectError::NoCargoPackage
        } else {
            DetectError::ManyPrograms {
                what: "programs in Cargo.toml",
                names: shown(&bins.join(", ")),
                fix: "set default-run in it, or start_command",
            }
        });
    };
    // Said here, because in a workspace it would be the root's.
    plan.builds(
        format!("cargo build --release{locked} --target-dir target"),
        "Cargo.toml is there",
    );
    let program = quoted(&format!("./target/release/{name}"));
    plan.starts(program, "that is the program that Cargo.toml names");
    Ok(plan)
}
