//! The routes of schedules, which need what the server's memory needs: all but machines.

use serde_json::{Value, json};

use crate::world::World;

#[test]
fn schedules_are_added_shown_paused_and_removed_by_their_owner() {
    World::run(async |world| {
        let [owner, stranger] = &world.orgs;
        let all = owner.path("/schedules");
        let wanted =
            json!({ "cron": " 0  3 * * mon ", "command": "true", "timeout_seconds": 60.0 });
        let (status, made) = owner.ask("POST", &all, &wanted).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!((&made["cron"], &made["paused"]), (&json!("0 3 * * mon"), &json!(false)));
        assert!(made["next_due_at"].as_str().unwrap().ends_with("T03:00:00.000Z"));
        let one = format!("{all}/{}", made["id"].as_str().unwrap());
        assert_eq!(owner.ask("GET", &one, &Value::Null).await, (200, made.clone()));
        let (status, list) = owner.ask("GET", &all, &Value::Null).await;
        assert_eq!(
            (status, &list["items"], &list["next_cursor"]),
            (200, &json!([made]), &json!(null))
        );

        let pause = json!({ "paused": true });
        for (method, body) in [("GET", &Value::Null), ("PATCH", &pause), ("DELETE", &Value::Null)] {
            let elsewhere = one.replace(&all, &stranger.path("/schedules"));
            for path in [&one, &elsewhere] {
                let (status, refusal) = stranger.ask(method, path, body).await;
                assert_eq!((status, &refusal["code"]), (404, &json!("not_found")), "{method}");
            }
        }
        let (status, paused) = owner.ask("PATCH", &one, &pause).await;
        assert_eq!((status, &paused["next_due_at"]), (200, &Value::Null));
        let (status, goes_on) = owner.ask("PATCH", &one, &json!({ "paused": false })).await;
        assert_eq!((status, goes_on), (200, made));
        assert_eq!(owner.ask("DELETE", &one, &Value::Null).await, (204, Value::Null));
        assert_eq!(owner.ask("DELETE", &one, &Value::Null).await.0, 404);
    });
}

#[test]
fn what_is_no_schedule_is_refused_by_its_field() {
    World::run(async |world| {
        let owner = &world.orgs[0];
        let all = owner.path("/schedules");
        for (wanted, field) in [
            (json!({ "command": "true" }), "cron"),
            (json!({ "cron": 5, "command": "true" }), "cron"),
            (json!({ "cron": "@daily", "command": "true" }), "cron"),
            (json!({ "cron": "* * * * * *", "command": "true" }), "cron"),
            (json!({ "cron": "0 0 30 2 *", "command": "true" }), "cron"),
            (json!({ "cron": "* * * * *" }), "command"),
            (json!({ "cron": "* * * * *", "command": " " }), "command"),
            (json!({ "cron": "* * * * *", "command": "a".repeat(4097) }), "command"),
            (
                json!({ "cron": "* * * * *", "command": "a", "timeout_seconds": 0 }),
                "timeout_seconds",
            ),
            (json!({ "cron": "* * * * *", "command": "a", "paused": "no" }), "paused"),
        ] {
            let (status, refusal) = owner.ask("POST", &all, &wanted).await;
            assert_eq!((status, &refusal["field"]), (400, &json!(field)), "{refusal}");
        }
        let (status, refusal) = owner.ask("GET", &format!("{all}/x"), &Value::Null).await;
        assert_eq!((status, &refusal["code"]), (404, &json!("not_found")));
        let wanted = json!({ "cron": "0 0 1 1 *", "command": "true", "paused": true });
        for _ in 0..8 {
            assert_eq!(owner.ask("POST", &all, &wanted).await.0, 201);
        }
        let (status, refusal) = owner.ask("POST", &all, &wanted).await;
        assert_eq!((status, &refusal["code"]), (429, &json!("over_quota")));
    });
}
