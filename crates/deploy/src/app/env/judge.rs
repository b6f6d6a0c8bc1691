//! What may be in an environment, whoever sets it. Refusals are the sentence alone: the caller
//! knows the field.

use std::collections::BTreeMap;

use pando_store::Env;
use pando_types::PublicError;
use pando_types::env::is_name;
use pando_types::limits::{MAX_APP_ENV_BYTES, MAX_ENV_NAME_BYTES};

use super::Environments;

/// A variable.
pub(super) fn variable(name: &str, value: &str) -> Result<(), String> {
    self::name(name)?;
    self::value(name, value)
}

/// The name of a variable.
pub(crate) fn name(name: &str) -> Result<(), String> {
    if !is_name(name) {
        let shown: String = name.chars().take(64).collect();
        return Err(format!(
            "`{shown}` is no name of a variable: letters, digits and `_`, no digit first"
        ));
    }
    if name.len() > MAX_ENV_NAME_BYTES {
        return Err(format!("a name of a variable holds at most {MAX_ENV_NAME_BYTES} bytes"));
    }
    // Its path would be that of the import: it could be neither shown nor removed.
    if name == "import" {
        return Err("`import` is no name of a variable: `/env/import` is the import".to_owned());
    }
    Ok(())
}

/// The value of the variable `name`.
pub(crate) fn value(name: &str, value: &str) -> Result<(), String> {
    if value.contains('\0') { Err(format!("the value of `{name}` holds a NUL")) } else { Ok(()) }
}

/// All of an environment that a request holds in `field`.
pub(crate) fn whole(
    field: &str,
    values: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, PublicError> {
    let refused = |message| PublicError::invalid(field, message);
    for (name, value) in &values {
        variable(name, value).map_err(refused)?;
    }
    let bytes = values.iter().map(|(name, value)| name.len() + value.len()).sum();
    size(field, bytes).map_err(refused)?;
    Ok(values)
}

/// What an app would have after a change.
pub(crate) fn together(env: &Environments) -> Result<(), String> {
    size("the app's environment", bytes(&env.own))?;
    size("the environment of its previews", bytes(&env.previews))
}

fn bytes(env: &Env) -> usize {
    env.0.iter().map(|(name, value)| name.len() + value.value.len()).sum()
}

fn size(what: &str, bytes: usize) -> Result<(), String> {
    if bytes > MAX_APP_ENV_BYTES {
        return Err(format!(
            "{what} holds at most {} KiB in all, names and values",
            MAX_APP_ENV_BYTES / 1024
        ));
    }
    Ok(())
}
