//! The commands: a folder for each noun, a file for each verb, arguments and code together.

pub mod app;
pub mod bake;
pub mod completions;
pub mod direct_args;
pub mod doctor;
pub mod host_args;
pub mod key;
pub mod noun_args;
pub mod org;
mod pair;
pub mod preview;
mod remove;
mod rows_args;
pub mod sandbox;
pub mod serve;
pub mod snapshot;
pub mod teardown;
pub mod template;
pub mod volume;

use serde::Serialize;
use serde_json::Value;

/// A state as the API spells it.
fn word(state: &impl Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}
