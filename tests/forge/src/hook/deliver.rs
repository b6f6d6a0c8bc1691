//! Sending one webhook.

use std::time::Duration;

use futures_util::StreamExt;
use uuid::Uuid;

use super::{Answer, Delivery, Webhook, sign};
use crate::ForgeError;
use crate::forge::Inner;
use crate::record::{Exchange, Recording, WebhookExchange};

/// How long GitHub waits for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The most bytes kept of an answer.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The numbers in the headers that tell one hook from another: there is only one.
const HOOK_ID: &str = "1";

/// A client that follows nothing and asks no proxy, as a webhook's sender must.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER_LIMIT)
        .user_agent("GitHub-Hookshot/pando")
        .build()
}

/// Sends an event, where a webhook is set, and remembers what came of it.
pub(super) async fn send(
    forge: &Inner,
    event: &str,
    action: Option<&str>,
    payload: &serde_json::Value,
) -> Vec<Delivery> {
    let Some(webhook) = forge.state().webhook.clone() else {
        return Vec::new();
    };
    let (id, body) = (Uuid::new_v4(), payload.to_string());
    let action = action.map(str::to_owned);
    vec![post(forge, &webhook, id, event.to_owned(), action, body).await]
}

/// Sends a delivery again, as it was.
pub(crate) async fn redeliver(forge: &Inner, id: Uuid) -> Result<Delivery, ForgeError> {
    let (webhook, old) = {
        let state = forge.state();
        let old = state.deliveries.iter().find(|delivery| delivery.id == id).cloned();
        (state.webhook.clone(), old)
    };
    let old = old.ok_or(ForgeError::NoDelivery(id))?;
    let webhook = webhook.ok_or(ForgeError::NoWebhook)?;
    Ok(post(forge, &webhook, id, old.event, old.action, old.body).await)
}

async fn post(
    forge: &Inner,
    webhook: &Webhook,
    id: Uuid,
    event: String,
    action: Option<String>,
    body: String,
) -> Delivery {
    let request = forge
        .client
        .post(&webhook.url)
        .header("Accept", "*/*")
        .header("Content-Type", "application/json")
        .header("X-GitHub-Event", &event)
        .header("X-GitHub-Delivery", id.to_string())
        .header("X-GitHub-Hook-ID", HOOK_ID)
        .header("X-GitHub-Hook-Installation-Target-ID", HOOK_ID)
        .header("X-GitHub-Hook-Installation-Target-Type", "repository")
        .header("X-Hub-Signature-256", sign(&webhook.secret, body.as_bytes()))
        .body(body.clone());
    let answer = match ask(request).await {
        Ok((status, body)) => Answer::Answered { status, body },
        Err(error) => {
            let mut reason = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                reason = format!("{reason}: {cause}");
                source = cause.source();
            }
            tracing::warn!(event, url = webhook.url, reason, "a webhook was not taken");
            Answer::Failed { reason }
        }
    };
    let delivery = Delivery { id, event, action, body, answer };
    let mut state = forge.state();
    if forge.recording == Recording::On {
        state.remember_exchange(Exchange::Webhook(WebhookExchange::of(&delivery)));
    }
    state.remember_delivery(delivery.clone());
    drop(state);
    forge.delivered.send_modify(|count| *count += 1);
    delivery
}

async fn ask(request: reqwest::RequestBuilder) -> Result<(u16, String), reqwest::Error> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        let room = MAX_ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_ANSWER_BYTES {
            break;
        }
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
