//! `pando app env`: what it sends, and what it keeps out of sight.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::routing::{post, put};
use serde_json::{Value, json};

use crate::fake::{self, Fake, ID, said};

/// An app that answers with what it was sent.
async fn shop() -> Fake {
    let sent = |body: Bytes| serde_json::from_slice::<Value>(&body).unwrap();
    let set = async move |Path(key): Path<String>, body: Bytes| {
        let body = sent(body);
        Json(json!({ "key": key, "secret": body["secret"], "scope": body["scope"], "sent": body }))
    };
    let unset = async |Path(key): Path<String>, RawQuery(query): RawQuery| {
        let wanted = key == "A" && query.as_deref() == Some("scope=preview");
        if wanted { StatusCode::NO_CONTENT } else { StatusCode::INTERNAL_SERVER_ERROR }
    };
    let import =
        async move |body: Bytes| Json(json!({ "imported": 1, "total": 2, "sent": sent(body) }));
    let env = format!("/apps/{ID}/env");
    let routes = fake::shop()
        .route(&format!("{env}/{{key}}"), put(set).delete(unset))
        .route(&format!("{env}/import"), post(import));
    Fake::start(routes).await
}

async fn sent(fake: &Fake, arguments: &[&str], stdin: &str) -> Value {
    let arguments = [&["app", "env"], arguments, &["--json"]].concat();
    let (code, stdout, stderr) = said(&fake.pando(&arguments, stdin).await);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    serde_json::from_str::<Value>(&stdout).unwrap()["sent"].clone()
}

#[tokio::test]
async fn a_value_is_typed_or_comes_from_standard_input() {
    let fake = shop().await;
    let body = |value, secret, scope| json!({ "value": value, "secret": secret, "scope": scope });
    let typed = sent(&fake, &["set", "shop", "A=-x=\"$y\" "], "").await;
    assert_eq!(typed, body("-x=\"$y\" ", false, "all"));
    for from in [&["A", "-"][..], &["A=-"]] {
        let arguments = [&["set", "shop"], from, &["--secret", "--scope", "production"]].concat();
        let piped = sent(&fake, &arguments, "two\nlines\n\n").await;
        assert_eq!(piped, body("two\nlines\n", true, "production"));
    }
    let (code, stdout, stderr) = said(&fake.pando(&["app", "env", "set", "shop", "A="], "").await);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", "A of shop is set (all)\n"));
}

#[tokio::test]
async fn a_secret_is_not_taken_from_the_command_line() {
    let fake = shop().await;
    for arguments in [
        &["set", "shop", "A=hunter2", "--secret"][..],
        &["set", "shop", "A"],
        &["set", "shop", "A=x", "-"],
        &["set", "shop", "../import=x"],
        &["set", "shop", "A=x", "--scope", "none"],
        &["unset", "shop", "A/B"],
    ] {
        let (code, stdout, stderr) =
            said(&fake.pando(&[&["app", "env"], arguments].concat(), "").await);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}

#[tokio::test]
async fn a_file_is_sent_as_it_is() {
    let fake = shop().await;
    let text = "\u{feff}A=\"$x\"\r\n# c\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    std::fs::write(&file, text).unwrap();
    let body = json!({ "dotenv": text, "secret": true, "scope": "preview" });
    for (from, stdin) in [(file.to_str().unwrap(), ""), ("-", text)] {
        let arguments = ["import", "shop", from, "--secret", "--scope", "preview"];
        assert_eq!(sent(&fake, &arguments, stdin).await, body);
    }
    std::fs::write(&file, b"A=\xff").unwrap();
    let bytes = fake.pando(&["app", "env", "import", "shop", file.to_str().unwrap()], "").await;
    assert!(said(&bytes).2.contains("is not UTF-8"), "{bytes:?}");
    let unset = fake.pando(&["app", "env", "unset", "shop", "A", "--scope", "preview"], "").await;
    assert_eq!(said(&unset), (Some(0), "A\n".into(), String::new()));
}
