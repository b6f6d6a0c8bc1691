//! The routes of apps' domains. Nobody answers for DNS here.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::world::World;

#[test]
fn a_domain_is_added_shown_and_removed_by_its_owner() {
    World::run(async |world| {
        let [owner, stranger] = &world.orgs;
        let domains = format!("{}/domains", owner.app("shop", json!({})).await);
        let wanted = json!({ "domain": "Shop.Example.com" });
        let (status, made) = owner.ask("POST", &domains, &wanted).await;
        assert_eq!(
            (status, &made["domain"], &made["status"]),
            (201, &json!("shop.example.com"), &json!("pending"))
        );
        assert_eq!(made["records"][0]["type"], "CNAME");
        assert_eq!(made["records"][1]["name"], "_pando-challenge.shop.example.com");
        assert_eq!(owner.ask("POST", &domains, &wanted).await.0, 200);
        let one = format!("{domains}/SHOP.example.com");
        let (status, shown) = owner.ask("GET", &one, &Value::Null).await;
        assert_eq!((status, &shown["records"]), (200, &made["records"]));
        let (status, checked) = owner.ask("POST", &format!("{one}/check"), &Value::Null).await;
        assert_eq!((status, &checked["status"]), (200, &json!("pending")));
        let why = checked["reason"].as_str().unwrap();
        assert!(why.contains("no resolver answers"), "{why}");
        let (status, list) = owner.ask("GET", &domains, &Value::Null).await;
        assert_eq!((status, list["domains"].as_array().unwrap().len()), (200, 1));

        for (method, path, body) in [
            ("GET", &domains, &Value::Null),
            ("POST", &domains, &wanted),
            ("GET", &one, &Value::Null),
            ("DELETE", &one, &Value::Null),
            ("POST", &format!("{one}/check"), &Value::Null),
            ("GET", &format!("{domains}/other.example.com"), &Value::Null),
        ] {
            let (status, refusal) = stranger.ask(method, path, body).await;
            assert_eq!((status, &refusal["code"]), (404, &json!("not_found")), "{method} {path}");
        }
        for bad in [json!({}), json!({ "domain": 5 }), json!({ "domain": "*.example.com" })] {
            let (status, refusal) = owner.ask("POST", &domains, &bad).await;
            assert_eq!((status, &refusal["field"]), (400, &json!("domain")), "{bad}");
        }
        assert_eq!(owner.ask("DELETE", &one, &Value::Null).await.0, 204);
        assert_eq!(owner.ask("DELETE", &one, &Value::Null).await.0, 404);
    });
}

#[test]
fn the_host_that_the_api_is_asked_at_is_no_domain() {
    World::run(async |world| {
        let owner = &world.orgs[0];
        let domains = format!("{}/domains", owner.app("shop", json!({})).await);
        let request = Request::post(&domains).header("host", "Api.Example.com:443");
        let body = Body::from(r#"{"domain": "api.example.com"}"#);
        let request = request.header("x-api-key", owner.key()).body(body).unwrap();
        let (status, refusal) = world.ask(request).await;
        assert_eq!((status, &refusal["field"]), (400, &json!("domain")));
    });
}

#[test]
fn a_proxy_asks_without_a_key() {
    World::run(async |world| {
        let ask = async |query: &str| {
            let uri = format!("/v1/domains/ask{query}");
            world.ask(Request::get(uri).body(Body::empty()).unwrap()).await
        };
        let (status, refusal) = ask("").await;
        assert_eq!((status, &refusal["field"]), (400, &json!("domain")));
        for name in ["shop.example.com", "%00", "..", "localhost"] {
            assert_eq!(ask(&format!("?domain={name}")).await.0, 404, "{name}");
        }
    });
}
