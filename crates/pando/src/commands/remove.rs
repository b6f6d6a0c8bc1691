//! What every `rm` does with those that it was given.

use std::fmt::Display;

use serde::Serialize;
use serde_json::json;

use crate::client::ClientArgs;
use crate::error::Failure;
use crate::output;

/// Removes each of a noun, whose list is at `path`; prints their names, or
/// `{"removed": [name]}`.
pub async fn each<Name>(client: &ClientArgs, path: &str, names: &[Name]) -> Result<(), Failure>
where
    Name: Display + Serialize,
{
    let api = client.client()?;
    for name in names {
        api.delete(&format!("{path}/{name}")).await?;
        if !client.json {
            output::line(&name.to_string())?;
        }
    }
    if client.json { output::json(&json!({"removed": names})) } else { Ok(()) }
}
