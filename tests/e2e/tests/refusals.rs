//! Bad input: a proper status and a message that names the fault, and nothing half-made.

use pando_e2e::{Options, Server};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

async fn refused(request: RequestBuilder, status: u16, part: &str) -> anyhow::Result<()> {
    let answer = request.send().await?;
    let (got, body) = (answer.status().as_u16(), answer.text().await?);
    let said: Value = serde_json::from_str(&body).unwrap_or_default();
    anyhow::ensure!(got == status, "{got} instead of {status}: {body}");
    let error = said["error"].as_str().unwrap_or_default();
    anyhow::ensure!(error.contains(part), "`{error}` does not name `{part}`");
    anyhow::ensure!(said["code"].is_string(), "{body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_status_and_names_the_fault() -> anyhow::Result<()> {
    let secret = "a-webhook-secret";
    let environment = vec![("PANDO_GITHUB_WEBHOOK_SECRET".to_owned(), secret.to_owned())];
    let server = Server::start(Options { environment, ..Options::default() }).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let create = |body: Value| server.request(Method::POST, "/v1/sandboxes").json(&body);
    let exec = |body: Value| server.request(Method::POST, &sandbox.path("/exec")).json(&body);
    let fs = |query: &str| server.request(Method::GET, &sandbox.path(&format!("/fs?{query}")));

    refused(create(json!({ "template": "no-such" })), 400, "no-such").await?;
    refused(create(json!({ "ttl_seconds": -1 })), 400, "ttl_seconds").await?;
    refused(create(json!({ "ttl_seconds": 0 })), 400, "ttl_seconds").await?;
    refused(create(json!({ "ttl_seconds": "soon" })), 400, "ttl_seconds").await?;
    refused(create(json!({ "cpu": 99 })), 400, "cpu").await?;
    refused(create(json!({ "memory_mb": 1_000_000 })), 400, "memory_mb").await?;
    refused(create(json!({ "memory_mb": 1025 })), 400, "memory_mb").await?;
    refused(create(json!({ "from_snapshot": "x" })), 400, "snapshot").await?;
    refused(server.request(Method::POST, "/v1/sandboxes").body("{"), 400, "").await?;

    refused(fs("path=/etc/../etc/passwd"), 400, "path").await?;
    refused(fs("path=/etc/%00passwd"), 400, "path").await?;
    refused(fs("path=etc/passwd"), 400, "path").await?;
    refused(fs(""), 400, "path").await?;
    refused(fs("path=/no/such/file"), 404, "/no/such/file").await?;
    refused(fs("path=/etc"), 409, "directory").await?;

    refused(exec(json!({ "cmd": ["no-such-program"] })), 400, "no-such-program").await?;
    refused(exec(json!({ "cmd": "true", "timeout_seconds": 0 })), 400, "timeout_seconds").await?;
    refused(exec(json!({ "cmd": "true", "timeout_seconds": -3 })), 400, "timeout_seconds").await?;
    refused(exec(json!({ "cmd": "true", "user": "nobody-here" })), 400, "nobody-here").await?;
    refused(exec(json!({ "cmd": "true", "cwd": "/no/such" })), 400, "/no/such").await?;
    refused(exec(json!({})), 400, "cmd").await?;
    assert_eq!(sandbox.exec("no-such-program").await?.exit_code, 127);

    let anyone = |path: &str| server.client().get(server.url(path));
    refused(anyone("/v1/sandboxes"), 401, "unauthorized").await?;
    refused(anyone("/v1/sandboxes").bearer_auth("pando_wrong"), 401, "unauthorized").await?;
    refused(anyone("/v1/sandboxes").header("X-API-Key", "pando_wrong"), 401, "unauthorized")
        .await?;
    assert_eq!(anyone("/v1/me").header("X-API-Key", server.api_key()).send().await?.status(), 200);
    refused(server.request(Method::GET, "/v1/no-such-route"), 404, "").await?;
    refused(server.request(Method::PUT, "/v1/me"), 405, "").await?;
    let unknown = "/v1/sandboxes/00000000-0000-4000-8000-000000000000";
    refused(server.request(Method::GET, unknown), 404, "sandbox").await?;
    refused(server.request(Method::GET, "/v1/sandboxes/not-an-id"), 404, "not-an-id").await?;

    // Neither a preview host nor more than one: the API, and a refusal.
    let other = server.edge(Method::GET, "evil.example", "/v1/sandboxes");
    refused(other, 401, "unauthorized").await?;
    let deep = server.edge(Method::GET, &format!("a.b.{}", server.suffix()), "/");
    refused(deep, 404, "").await?;

    let hook = || {
        server
            .client()
            .post(server.url("/v1/webhooks/github"))
            .header("X-GitHub-Event", "push")
            .header("X-GitHub-Delivery", "1")
            .body("{}")
    };
    refused(hook(), 401, "ignature").await?;
    refused(hook().header("X-Hub-Signature-256", "sha256=00"), 401, "ignature").await?;
    let wrong = format!("sha256={}", "ab".repeat(32));
    refused(hook().header("X-Hub-Signature-256", wrong), 401, "ignature").await?;

    // An expired sandbox is gone for everyone.
    let expiring = server.sandbox(json!({ "ttl_seconds": 1 })).await?;
    let path = expiring.path("");
    for _ in 0..60 {
        if server.request(Method::GET, &path).send().await?.status() == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    refused(server.request(Method::GET, &path), 404, "sandbox").await?;
    let late =
        server.request(Method::POST, &expiring.path("/exec")).json(&json!({ "cmd": "true" }));
    refused(late, 404, "sandbox").await?;
    let edge = server.edge(Method::GET, &expiring.host(3000), "/");
    refused(edge.header("accept", "application/json"), 404, "").await?;

    // None of all this left anything behind.
    let list: Value = server.request(Method::GET, "/v1/sandboxes").send().await?.json().await?;
    let items = list.get("items").unwrap_or(&list).as_array().map_or(0, Vec::len);
    assert_eq!(items, 1, "{list}");
    server.finish()
}
