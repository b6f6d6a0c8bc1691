//! A webhook.

use serde_json::Value;

use super::schema::{judge, resolve};
use crate::WebhookExchange;

pub(super) fn check(document: &Value, webhook: &WebhookExchange) -> Result<(), String> {
    // GitHub's document names `pull_request` with the action `opened` `pull-request-opened`.
    let name = match &webhook.action {
        Some(action) => format!("{}-{action}", webhook.event).replace('_', "-"),
        None => webhook.event.replace('_', "-"),
    };
    let operation =
        document["x-webhooks"].get(&name).ok_or_else(|| format!("GitHub sends no `{name}`"))?;
    let content = &operation["post"]["requestBody"]["content"]["application/json"];
    let payload: Value =
        serde_json::from_str(&webhook.body).map_err(|_| "the payload is no JSON".to_owned())?;
    judge(document, resolve(document, &content["schema"]), &payload)
        .map_err(|fault| format!("payload {fault}"))
}
