//! Judging one JSON value by a schema of the document.
//!
//! OpenAPI 3.0 schemas are JSON Schema of draft 4 but for `nullable`, which is
//! translated; only the components that a schema needs go to the validator, as
//! the whole document takes seconds to compile.

use std::collections::BTreeMap;

use jsonschema::Draft;
use serde_json::{Map, Value, json};

/// Where shared schemas live.
const COMPONENTS: &str = "#/components/schemas/";
/// The most faults that are told at once.
const MAX_FAULTS: usize = 10;

/// Follows a reference to a parameter, response or schema.
pub(super) fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(value),
        None => value,
    }
}

/// Whether the value fits the schema; if not, what does not.
pub(super) fn judge(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let mut components = BTreeMap::new();
    collect(document, schema, &mut components);
    let whole = json!({ "allOf": [translate(schema)], "components": { "schemas": components } });
    let validator = jsonschema::options()
        .with_draft(Draft::Draft4)
        .should_validate_formats(true)
        .build(&whole)
        .map_err(|error| format!("the schema does not compile: {error}"))?;
    let faults: Vec<String> = validator
        .iter_errors(value)
        .take(MAX_FAULTS)
        .map(|error| format!("at `{}`: {}", error.instance_path(), short(&error.to_string())))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Gathers, translated, every component that a schema refers to.
fn collect(document: &Value, schema: &Value, into: &mut BTreeMap<String, Value>) {
    match schema {
        Value::Object(fields) => {
            let name = fields
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix(COMPONENTS));
            if let Some(name) = name
                && !into.contains_key(name)
                && let Some(component) = document["components"]["schemas"].get(name)
            {
                into.insert(name.to_owned(), translate(component));
                collect(document, component, into);
            }
            fields.values().for_each(|field| collect(document, field, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(document, item, into)),
        _ => {}
    }
}

/// The same schema with `nullable` said as JSON Schema says it, and no examples.
fn translate(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(translate).collect(),
        Value::Object(fields) => {
            let rest: Map<String, Value> = fields
                .iter()
                .filter(|(name, value)| {
                    !(*name == "nullable" && value.is_boolean()
                        || ["example", "examples", "description"].contains(&name.as_str())
                            && !value.is_object())
                })
                .map(|(name, value)| (name.clone(), translate(value)))
                .collect();
            match fields.get("nullable") {
                Some(Value::Bool(true)) => or_null(rest),
                _ => Value::Object(rest),
            }
        }
        other => other.clone(),
    }
}

/// The schema, or null. Where a type is named, null joins it: a fault is then told
/// where it is, not as "fits neither".
fn or_null(mut schema: Map<String, Value>) -> Value {
    let combined =
        ["$ref", "allOf", "anyOf", "oneOf"].iter().any(|word| schema.contains_key(*word));
    match schema.get("type") {
        Some(Value::String(kind)) if !combined => {
            let kinds = json!([kind, "null"]);
            schema.insert("type".to_owned(), kinds);
            if let Some(Value::Array(values)) = schema.get_mut("enum") {
                values.push(Value::Null);
            }
            Value::Object(schema)
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nullable_references_and_formats_are_understood() {
        let document = json!({ "components": { "schemas": { "user": {
            "type": "object",
            "required": ["login", "url"],
            "properties": {
                "login": { "type": "string" },
                "url": { "type": "string", "format": "uri", "nullable": true },
                "description": { "type": "string" },
                "kind": { "type": "string", "enum": ["a"], "nullable": true },
                "boss": { "$ref": "#/components/schemas/user" },
            },
        } } } });
        let schema = json!({ "$ref": "#/components/schemas/user" });
        let judge = |value| judge(&document, &schema, &value);
        assert_eq!(judge(json!({ "login": "a", "url": null })), Ok(()));
        assert_eq!(judge(json!({ "login": "a", "url": "http://b/", "kind": null })), Ok(()));
        for bad in [
            json!({ "login": "a" }),
            json!({ "login": null, "url": null }),
            json!({ "login": "a", "url": "not a url" }),
            json!({ "login": "a", "url": null, "description": 1 }),
            json!({ "login": "a", "url": null, "kind": "b" }),
            json!({ "login": "a", "url": null, "boss": { "login": "b" } }),
        ] {
            assert!(judge(bad.clone()).is_err(), "{bad}");
        }
    }
}
