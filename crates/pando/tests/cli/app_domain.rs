//! `pando app domain`: what it asks, and what it prints.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::{delete, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::fake::{Fake, ID, said, shop};

fn domain(status: &str) -> Value {
    json!({
        "domain": "shop.example.com", "status": status, "reason": null,
        "url": "https://shop.example.com", "dns_note": "Make it.", "checked_at": null,
        "created_at": "x", "records": [{
            "type": "TXT", "name": "_pando-challenge.shop.example.com", "value": "pando-domain=1",
            "purpose": "ownership",
        }],
    })
}

async fn fake() -> Fake {
    let domains = format!("/apps/{ID}/domains");
    let add = async |body: Bytes| {
        let sent: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(sent, json!({ "domain": "shop.example.com" }));
        (StatusCode::CREATED, Json(domain("pending")))
    };
    let list = async || Json(json!({ "domains": [domain("active")] }));
    let routes = shop()
        .route(&domains, post(add).get(list))
        .route(&format!("{domains}/shop.example.com"), delete(async || StatusCode::NO_CONTENT))
        .route(&format!("{domains}/shop.example.com/check"), post(async || Json(domain("active"))));
    Fake::start(Router::new().merge(routes)).await
}

#[tokio::test]
async fn a_domain_is_added_looked_up_listed_and_removed() {
    let fake = fake().await;
    for (verb, line) in
        [("add", "shop.example.com is pending"), ("check", "shop.example.com is active")]
    {
        let arguments = ["app", "domain", verb, "shop", "Shop.example.com."];
        let (code, stdout, stderr) = said(&fake.pando(&arguments, "").await);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{verb}");
        assert_eq!(stdout.lines().next(), Some(line));
        assert!(stdout.contains("TXT") && stdout.contains("pando-domain=1"), "{stdout}");
    }
    let (_, stdout, _) = said(&fake.pando(&["app", "domain", "ls", "shop"], "").await);
    assert!(stdout.contains("shop.example.com") && stdout.contains("active"), "{stdout}");
    let arguments = ["app", "domain", "rm", "shop", "shop.example.com", "--json"];
    let (code, stdout, _) = said(&fake.pando(&arguments, "").await);
    let removed: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, removed), (Some(0), json!({ "removed": ["shop.example.com"] })));
    let (code, _, stderr) = said(&fake.pando(&["app", "domain", "rm", "shop", "../env"], "").await);
    assert_eq!(code, Some(2), "{stderr}");
}
