//! The routes that ask of all apps of a repository.

use pando_types::env::MASK;
use serde_json::{Value, json};

use crate::world::World;

#[test]
fn a_repository_is_switched_and_given_variables_by_those_who_have_apps_of_it() {
    World::run(async |world| {
        let [owner, stranger] = &world.orgs;
        let app = owner.app("shop", json!({ "previews": false })).await;
        let repos = "/v1/preview-repos";
        let number = json!({ "github_repo_id": 4711, "repo_full_name": "Owner/Repo" });
        let repo = |enabled| json!({ "github_repo_id": 4711, "repo_full_name": "Owner/Repo", "enabled": enabled });
        assert_eq!(owner.ask("POST", repos, &number).await, (200, repo(true)));
        let (status, list) = owner.ask("GET", repos, &Value::Null).await;
        assert_eq!((status, list), (200, json!({ "repos": [repo(true)] })));

        let env = "/v1/repos/4711/preview-env";
        let entry = |key: &str, value: &str, secret: bool| json!({ "key": key, "value": value, "secret": secret, "scope": "preview" });
        let set = json!({ "value": "a=b", "secret": true });
        let answer = owner.ask("PUT", &format!("{env}/TOKEN"), &set).await;
        assert_eq!(answer, (200, json!({ "key": "TOKEN", "secret": true, "scope": "preview" })));
        assert_eq!(owner.ask("PUT", &format!("{env}/EMPTY"), &json!({ "value": "" })).await.0, 200);
        let file = json!({ "dotenv": "A='1'\nA=2", "secret": false });
        let answer = owner.ask("POST", &format!("{env}/import"), &file).await;
        assert_eq!(answer, (200, json!({ "imported": 1, "total": 2 })));
        let all = json!({ "env": [entry("A", "2", false), entry("EMPTY", "", false), entry("TOKEN", MASK, true)] });
        assert_eq!(owner.ask("GET", env, &Value::Null).await, (200, all.clone()));
        assert_eq!(owner.ask("GET", &format!("{app}/env"), &Value::Null).await, (200, all));

        for (method, path, body) in [
            ("POST", repos, &number),
            ("DELETE", "/v1/preview-repos/4711", &Value::Null),
            ("GET", env, &Value::Null),
            ("PUT", "/v1/repos/4711/preview-env/TOKEN", &set),
            ("DELETE", "/v1/repos/4711/preview-env/TOKEN", &Value::Null),
            ("POST", "/v1/repos/4711/preview-env/import", &file),
        ] {
            let (status, refusal) = stranger.ask(method, path, body).await;
            assert_eq!((status, &refusal["code"]), (404, &json!("not_found")), "{method} {path}");
        }
        for number in ["0", "-1", "x", "4712", "99999999999999999999"] {
            let path = format!("/v1/repos/{number}/preview-env");
            assert_eq!(owner.ask("GET", &path, &Value::Null).await.0, 404, "{number}");
        }
        for (body, field) in [
            (json!({}), "github_repo_id"),
            (json!({ "github_repo_id": "4711" }), "github_repo_id"),
            (json!({ "github_repo_id": 0 }), "github_repo_id"),
            (json!({ "github_repo_id": 1, "repo_full_name": "../x" }), "repo_full_name"),
        ] {
            let (status, refusal) = owner.ask("POST", repos, &body).await;
            assert_eq!((status, &refusal["field"]), (400, &json!(field)), "{body}");
        }
        for key in ["TOKEN", "EMPTY"] {
            let path = format!("{env}/{key}");
            assert_eq!(owner.ask("DELETE", &path, &Value::Null).await.0, 204, "{key}");
            assert_eq!(owner.ask("DELETE", &path, &Value::Null).await.0, 404, "{key}");
        }
        assert_eq!(owner.ask("DELETE", &format!("{repos}/4711"), &Value::Null).await.0, 204);
        let (_, list) = owner.ask("GET", repos, &Value::Null).await;
        assert_eq!(list, json!({ "repos": [repo(false)] }));
    });
}
