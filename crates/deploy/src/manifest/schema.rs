//! The JSON schema of a `pando.toml`, for editors and other programs: the keys, once more.
//!
//! Lengths are in characters, as JSON Schema counts them, where the limits are in bytes; and
//! which cron expressions there are, or whether a folder leads out, it does not say.

use pando_guest_protocol::SESSION_PORT;
use pando_types::limits::{MAX_APP_COMMAND_BYTES, MAX_CRON_BYTES, MAX_ENV_NAME_BYTES};
use pando_types::schema::{CRON, NO_NUL, NOT_BLANK, VARIABLE};
use serde_json::{Map, Value as Json, json};

use super::keys::{
    Absent, Clash, FILE, Key, MAX_BUILD_SECRETS, MAX_FOLDER_BYTES, MAX_NAME_BYTES,
    MAX_URL_PATH_BYTES, Named, PORT, Table, Value, Whole,
};
use super::value::frameworks;

/// Relative, with no `..` and nothing that steers a terminal.
const FOLDER: &str = r"^(?=.*\S)(?!\s*/)(?!(.*/)?\s*\.\.\s*(/|$))[^\x00-\x1F\x7F-\x9F]+$";
/// A worker or a cron.
const NAME: &str = "^[a-z][a-z0-9-]*$";

/// The schema: draft 7, which the editors' plug-ins for TOML read.
#[must_use]
pub fn schema() -> Json {
    let mut schema = Map::new();
    schema.insert("$schema".into(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".into(), super::FILE_NAME.into());
    let about = "How Pando deploys a repository. Every key may be left out.";
    schema.insert("description".into(), about.into());
    if let Json::Object(file) = table(&FILE) {
        schema.extend(file);
    }
    Json::Object(schema)
}

fn table(table: &Table) -> Json {
    let properties: Map<String, Json> =
        table.keys.iter().map(|key| (key.name.to_owned(), described(key))).collect();
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    let needed = table.keys.iter().filter(|key| key.absent == Absent::Wrong);
    let needed: Vec<&str> = needed.map(|key| key.name).collect();
    if !needed.is_empty() {
        schema["required"] = json!(needed);
    }
    for (key, needed) in table.needs {
        schema["dependencies"][key] = json!([needed]);
    }
    let clashes: Vec<Json> = table.clashes.iter().map(clash).collect();
    if !clashes.is_empty() {
        schema["not"] = json!({ "anyOf": clashes });
    }
    schema
}

fn clash(Clash { one, is, other }: &Clash) -> Json {
    let both = json!({ "required": [one, other] });
    match is {
        None => both,
        Some(value) => json!({ "allOf": [both, { "properties": { *one: { "const": value } } }] }),
    }
}

fn described(key: &Key) -> Json {
    let mut schema = value(&key.value);
    let default = match key.absent {
        Absent::Means(default) if !default.is_empty() => format!(" Without it: {default}."),
        Absent::Means(_) | Absent::Wrong => String::new(),
    };
    schema["description"] = format!("{}{default}", key.about).into();
    schema
}

fn value(value: &Value) -> Json {
    match value {
        Value::Command => {
            json!({ "type": "string", "maxLength": MAX_APP_COMMAND_BYTES, "pattern": NOT_BLANK })
        }
        Value::CommandOrNone => {
            json!({ "type": "string", "maxLength": MAX_APP_COMMAND_BYTES, "pattern": NO_NUL })
        }
        Value::Framework => json!({ "enum": frameworks().collect::<Vec<_>>() }),
        Value::Protocol => json!({ "enum": ["http", "tcp"] }),
        Value::UrlPath => json!({
            "type": "string", "maxLength": MAX_URL_PATH_BYTES, "pattern": r#"^/[!"$-~]*$"#,
        }),
        Value::Folder => {
            json!({ "type": "string", "maxLength": MAX_FOLDER_BYTES, "pattern": FOLDER })
        }
        Value::Cron => json!({ "type": "string", "maxLength": MAX_CRON_BYTES, "pattern": CRON }),
        Value::Port => json!({
            "type": "integer", "minimum": 1, "maximum": 65535, "not": { "const": SESSION_PORT },
        }),
        Value::Whole(Whole { least, most, step }) => {
            let mut schema = json!({ "type": "integer", "minimum": least, "maximum": most });
            if *step > 1 {
                schema["multipleOf"] = (*step).into();
            }
            schema
        }
        Value::Flag => json!({ "type": "boolean" }),
        Value::VariableNames => json!({
            "type": "array", "maxItems": MAX_BUILD_SECRETS,
            "items": variable_name(),
        }),
        Value::Variables => json!({
            "type": "object",
            "propertyNames": variable_name(),
            "additionalProperties": { "type": "string", "pattern": NO_NUL },
        }),
        Value::Table(inner) => table(inner),
        Value::Named(Named { most, taken, each, .. }) => {
            let mut names = json!({ "maxLength": MAX_NAME_BYTES, "pattern": NAME });
            if !taken.is_empty() {
                names["not"] = json!({ "enum": taken });
            }
            json!({
                "type": "object",
                "maxProperties": most,
                "propertyNames": names,
                "additionalProperties": table(each),
            })
        }
    }
}

fn variable_name() -> Json {
    json!({
        "type": "string", "maxLength": MAX_ENV_NAME_BYTES, "pattern": VARIABLE, "not": { "const": PORT },
    })
}
