//! A REST call.

use serde_json::{Value, json};

use super::route;
use super::schema::{judge, resolve};
use crate::RestExchange;

/// Statuses that GitHub may give to any call, by its prose: bad JSON, no or a bad
/// token, no access, not there, a field that does not fit. All carry its basic error.
const ANYWHERE: [u16; 5] = [400, 401, 403, 404, 422];

pub(super) fn check(document: &Value, exchange: &RestExchange) -> Result<(), String> {
    if !exchange.headers.iter().any(|(name, _)| name == "user-agent") {
        return Err("it has no User-Agent, and GitHub refuses such".to_owned());
    }
    let operation = route::find(document, &exchange.method, &exchange.path)?;
    check_query(document, operation, exchange.query.as_deref().unwrap_or_default())?;
    // What a caller sent wrongly is judged only where it was not refused for it.
    if exchange.status < 400 {
        check_request(document, operation, &exchange.request)?;
    }
    check_answer(document, operation, exchange.status, &exchange.response)
}

fn check_query(document: &Value, operation: &Value, query: &str) -> Result<(), String> {
    let known: Vec<&Value> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|parameter| resolve(document, parameter))
        .filter(|parameter| parameter["in"] == "query")
        .collect();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let parameter = known
            .iter()
            .find(|parameter| parameter["name"] == name)
            .ok_or_else(|| format!("GitHub knows no query parameter `{name}` here"))?;
        let schema = resolve(document, &parameter["schema"]);
        let value = match (schema["type"].as_str(), text.parse::<i64>()) {
            (Some("integer"), Ok(number)) => json!(number),
            _ => json!(text),
        };
        judge(document, schema, &value).map_err(|fault| format!("query `{name}` {fault}"))?;
    }
    Ok(())
}

fn check_request(document: &Value, operation: &Value, body: &[u8]) -> Result<(), String> {
    let Some(wanted) = operation.get("requestBody") else {
        return if body.is_empty() { Ok(()) } else { Err("GitHub takes no body here".to_owned()) };
    };
    let schema = resolve(document, &wanted["content"]["application/json"]["schema"]);
    let body: Value =
        serde_json::from_slice(body).map_err(|_| "the request is no JSON".to_owned())?;
    judge(document, schema, &body).map_err(|fault| format!("request {fault}"))?;
    let Some(known) = schema["properties"].as_object() else {
        return Ok(());
    };
    match body.as_object().and_then(|fields| fields.keys().find(|name| !known.contains_key(*name)))
    {
        Some(name) => Err(format!("GitHub knows no field `{name}` in this request")),
        None => Ok(()),
    }
}

fn check_answer(
    document: &Value,
    operation: &Value,
    status: u16,
    body: &[u8],
) -> Result<(), String> {
    let body: Value =
        serde_json::from_slice(body).map_err(|_| "the answer is no JSON".to_owned())?;
    let basic = json!({ "$ref": "#/components/schemas/basic-error" });
    let schema = match operation["responses"].get(status.to_string()) {
        Some(answer) => &resolve(document, answer)["content"]["application/json"]["schema"],
        None if ANYWHERE.contains(&status) => &basic,
        None => return Err(format!("GitHub does not answer {status} here")),
    };
    judge(document, schema, &body).map_err(|fault| format!("answer {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        let error = json!({ "type": "object", "required": ["message"],
            "properties": { "message": { "type": "string" } } });
        json!({
            "paths": { "/things/{id}": { "post": {
                "parameters": [{ "name": "page", "in": "query", "schema": { "type": "integer" } }],
                "requestBody": { "content": { "application/json": { "schema": {
                    "type": "object", "required": ["body"],
                    "properties": { "body": { "type": "string" } },
                } } } },
                "responses": { "201": { "content": { "application/json": { "schema": {
                    "type": "object", "required": ["id"],
                } } } } },
            } } },
            "components": { "schemas": { "basic-error": error } },
        })
    }

    fn exchange() -> RestExchange {
        RestExchange {
            method: "POST".into(),
            path: "/things/1".into(),
            query: Some("page=2".into()),
            headers: vec![("user-agent".into(), "pando".into())],
            request: r#"{"body":"x"}"#.into(),
            status: 201,
            response: r#"{"id":1}"#.into(),
        }
    }

    #[test]
    fn a_good_exchange_passes_and_each_fault_is_found() {
        let fault = |spoil: fn(&mut RestExchange)| {
            let mut exchange = exchange();
            spoil(&mut exchange);
            check(&document(), &exchange).expect_err("a fault")
        };
        assert_eq!(check(&document(), &exchange()), Ok(()));
        assert!(fault(|it| it.headers.clear()).contains("User-Agent"));
        assert!(fault(|it| it.path = "/other".into()).contains("no such path"));
        assert!(fault(|it| it.method = "PUT".into()).contains("no PUT"));
        assert!(fault(|it| it.query = Some("pages=2".into())).contains("`pages`"));
        assert!(fault(|it| it.query = Some("page=x".into())).contains("`page`"));
        assert!(fault(|it| it.request = "{}".into()).contains("request"));
        assert!(fault(|it| it.request = r#"{"body":"x","bod":1}"#.into()).contains("`bod`"));
        assert!(fault(|it| it.response = "{}".into()).contains("answer"));
        assert!(fault(|it| it.status = 418).contains("418"));
        assert!(fault(|it| it.status = 401).contains("message"));
    }
}
