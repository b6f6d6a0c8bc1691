//! The routes of apps' environments and of their webhooks, which need what the server's memory needs: all but
//! machines.

use pando_types::env::MASK;
use serde_json::{Value, json};

use crate::world::{Org, World};

/// A repository on a host that is never there (RFC 2606).
pub const REPOSITORY: &str = "https://forge.invalid/owner/repo";

impl Org {
    /// The path of a new app of this org.
    pub async fn app(&self, name: &str, more: Value) -> String {
        let mut wanted = json!({ "name": name, "git_url": format!("{REPOSITORY}.git") });
        wanted.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let (status, made) = self.ask("POST", "/v1/apps", &wanted).await;
        assert_eq!(status, 201, "{made}");
        format!("/v1/apps/{}", made["id"].as_str().unwrap())
    }
}

#[test]
fn an_environment_is_set_shown_and_removed_by_its_owner() {
    World::run(async |world| {
        let [owner, stranger] = &world.orgs;
        let app = owner.app("shop", json!({ "env": { "WHOLE": "hidden" } })).await;
        let env = format!("{app}/env");
        let entry = |key: &str, value: &str, secret: bool, scope: &str| json!({ "key": key, "value": value, "secret": secret, "scope": scope });
        let set = json!({ "value": "a=b\n$c", "secret": false, "scope": "all" });
        let answer = owner.ask("PUT", &format!("{env}/PLAIN"), &set).await;
        assert_eq!(answer, (200, json!({ "key": "PLAIN", "secret": false, "scope": "all" })));
        // What is left out has a default.
        let answer = owner.ask("PUT", &format!("{env}/EMPTY"), &json!({ "value": "" })).await;
        assert_eq!(answer, (200, json!({ "key": "EMPTY", "secret": false, "scope": "all" })));
        let file = json!({ "dotenv": "A='1'\nA=2 # c", "secret": true, "scope": "preview" });
        let answer = owner.ask("POST", &format!("{env}/import"), &file).await;
        assert_eq!(answer, (200, json!({ "imported": 1, "total": 2 })));
        let all = json!({ "env": [
            entry("A", MASK, true, "preview"),
            entry("EMPTY", "", false, "all"),
            entry("PLAIN", "a=b\n$c", false, "all"),
            entry("WHOLE", MASK, true, "production"),
        ] });
        assert_eq!(owner.ask("GET", &env, &Value::Null).await, (200, all.clone()));

        for (method, path, body) in [
            ("GET", "", &Value::Null),
            ("PUT", "/PLAIN", &set),
            ("DELETE", "/PLAIN", &Value::Null),
            ("POST", "/import", &file),
        ] {
            let (status, refusal) = stranger.ask(method, &format!("{env}{path}"), body).await;
            assert_eq!((status, &refusal["code"]), (404, &json!("not_found")), "{method}");
        }
        for (method, path, body, field) in [
            ("PUT", "/1A", json!({ "value": "" }), "key"),
            ("PUT", "/A", json!({}), "value"),
            ("PUT", "/A", json!({ "value": 5 }), "value"),
            ("PUT", "/A", json!({ "value": "", "scope": "none" }), "scope"),
            ("PUT", "/A", json!({ "value": "", "secret": "no" }), "secret"),
            ("POST", "/import", json!({ "dotenv": "A" }), "dotenv"),
            ("POST", "/import", json!({ "dotenv": "import=A" }), "dotenv"),
            ("POST", "/import", json!({}), "dotenv"),
            ("DELETE", "/A?scope=none", Value::Null, "scope"),
        ] {
            let (status, refusal) = owner.ask(method, &format!("{env}{path}"), &body).await;
            assert_eq!((status, &refusal["field"]), (400, &json!(field)), "{method} {path}");
        }
        assert_eq!(owner.ask("GET", &env, &Value::Null).await, (200, all));
        for (path, status) in [
            ("/PLAIN?scope=production", 204),
            ("/PLAIN?scope=production", 404),
            ("/PLAIN", 204),
            ("/EMPTY", 204),
            ("/EMPTY", 404),
            ("/import", 405),
            ("/A", 204),
            ("/WHOLE", 204),
        ] {
            let answer = owner.ask("DELETE", &format!("{env}{path}"), &Value::Null).await;
            assert_eq!(answer.0, status, "{path}");
        }
        assert_eq!(owner.ask("GET", &env, &Value::Null).await, (200, json!({ "env": [] })));
    });
}
