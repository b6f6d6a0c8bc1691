//! The real program against a small server that answers as the API does.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod app_domain;
mod app_env;
mod fake;

use std::path::Path;
use std::process::Stdio;

use axum::Router;
use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use tokio::process::Command;

use fake::{Fake, ID, KEY, said};

/// A multiplexed connection whose command says `messages`, after its input has ended.
fn command(messages: Vec<Message>) -> Router {
    let serve = move |upgrade: WebSocketUpgrade| {
        let messages = messages.clone();
        async move {
            upgrade.on_upgrade(async move |mut socket| {
                while let Some(Ok(message)) = socket.recv().await {
                    if message.to_text().is_ok_and(|text| text.contains("\"eof\":true")) {
                        break;
                    }
                }
                for message in messages {
                    socket.send(message).await.unwrap();
                }
                let _ = socket.send(Message::Close(None)).await;
            })
        }
    };
    Router::new().route(&format!("/sandboxes/{ID}/exec/ws"), get(serve))
}

fn says(stream: &str, bytes: &[u8]) -> Message {
    let mut message = format!("{{\"id\":0,\"stream\":\"{stream}\"}}\n").into_bytes();
    message.extend_from_slice(bytes);
    Message::binary(message)
}

#[tokio::test]
async fn exec_passes_on_both_outputs_byte_for_byte_and_the_exit_code() {
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(1000).collect();
    let fake = Fake::start(command(vec![
        says("stdout", &every_byte),
        says("stderr", b"err\xE2\x82"),
        Message::text(r#"{"id":0,"taken":1}"#),
        says("stderr", b"\xAC\n"),
        Message::text(r#"{"id":0,"exit":42,"duration_ms":1}"#),
    ]))
    .await;
    let output = fake.pando(&["sandbox", "exec", ID, "--", "anything"], "").await;
    assert_eq!((output.status.code(), output.stdout), (Some(42), every_byte));
    assert_eq!(output.stderr, "err€\n".as_bytes());

    let output = fake.pando(&["sandbox", "exec", ID, "--json", "--", "anything"], "").await;
    let (code, stdout, stderr) = said(&output);
    assert_eq!((code, stderr.as_str()), (Some(42), ""));
    let result: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&result["exit_code"], &result["stderr"]), (&42.into(), &"err€\n".into()));
}

#[tokio::test]
async fn exec_that_loses_its_command_says_so_with_a_code_of_its_own() {
    let failed = Message::text(r#"{"id":0,"error":"timeout: x","code":"timeout"}"#);
    for messages in [vec![says("stdout", b"half")], vec![failed]] {
        let fake = Fake::start(command(messages)).await;
        let output = fake.pando(&["sandbox", "exec", ID, "--", "anything"], "").await;
        let (code, _, stderr) = said(&output);
        assert_eq!(code, Some(125));
        assert!(stderr.starts_with("error: ") && stderr.contains("\nhint: "), "{stderr}");
    }
}

/// A command that says what it was started with, and then what it reads.
async fn echo(headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    upgrade.on_upgrade(async |mut socket| {
        let mut inputs = 0;
        while let Some(Ok(message)) = socket.recv().await {
            let answer = match message {
                Message::Binary(message) => {
                    let bytes = message.strip_prefix(b"{\"id\":0}\n").unwrap();
                    inputs += 1;
                    let taken = format!("{{\"id\":0,\"taken\":{inputs}}}");
                    socket.send(Message::text(taken)).await.unwrap();
                    says("stdout", bytes)
                }
                Message::Text(text) if text.contains("eof") => {
                    Message::text(r#"{"id":0,"exit":0,"duration_ms":1}"#)
                }
                Message::Text(text) => says("stderr", text.as_bytes()),
                _ => continue,
            };
            socket.send(answer).await.unwrap();
        }
    })
}

#[tokio::test]
async fn exec_sends_what_was_typed_and_piped() {
    let routes = Router::new().route(&format!("/sandboxes/{ID}/exec/ws"), get(echo));
    let fake = Fake::start(routes).await;
    let arguments = ["sandbox", "exec", ID, "--env", "A=b", "--timeout", "2.5", "--", "cat", "-n"];
    // More than may be under way at once.
    let piped = "a line\n".repeat(1_000_000);
    let (code, stdout, stderr) = said(&fake.pando(&arguments, &piped).await);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout == piped, "{} bytes of {}", stdout.len(), piped.len());
    let sent: serde_json::Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(sent["cmd"], serde_json::json!(["cat", "-n"]));
    assert_eq!((&sent["bytes"], &sent["open_stdin"]), (&true.into(), &true.into()));
    assert_eq!(sent["env"]["A"], "b");
    assert_eq!(sent["timeout_seconds"], 2.5);

    let (code, stdout, _) =
        said(&fake.pando(&["sandbox", "exec", "-n", ID, "--", "cat"], "not for it").await);
    assert_eq!((code, stdout.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn cp_goes_both_ways_and_leaves_nothing_half() {
    let put = async |RawQuery(query): RawQuery, body: Bytes| {
        assert_eq!(query.as_deref(), Some("path=%2Fsrv%2Fa+b.txt"));
        format!("{{\"path\":\"/srv/a b.txt\",\"bytes\":{}}}", body.len())
    };
    let entry = r#"{"name":"a","path":"/a","is_dir":false,"size":5,"mode":"f","permissions":"0644","mtime":0}"#;
    let routes = Router::new()
        .route(&format!("/sandboxes/{ID}/fs"), get(async || "hello").put(put))
        .route(&format!("/sandboxes/{ID}/fs/stat"), get(move || async move { entry }));
    let fake = Fake::start(routes).await;
    let folder = tempfile::tempdir().unwrap();
    let here = |name: &str| folder.path().join(name).display().to_string();

    std::fs::write(here("a b.txt"), "hello").unwrap();
    let up = fake.pando(&["sandbox", "cp", &here("a b.txt"), &format!("{ID}:/srv/")], "").await;
    let (code, stdout, stderr) = said(&up);
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert!(stderr.ends_with("5 bytes to /srv/a b.txt\n"), "{stderr}");

    let down = fake.pando(&["sandbox", "cp", &format!("{ID}:/a"), &here("b"), "--json"], "").await;
    assert_eq!(said(&down).0, Some(0));
    assert_eq!(std::fs::read_to_string(here("b")).unwrap(), "hello");

    let folder_up = fake.pando(&["sandbox", "cp", &here("."), &format!("{ID}:/srv")], "").await;
    let (code, _, stderr) = said(&folder_up);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("tar -cf"), "{stderr}");

    let nowhere = fake.pando(&["sandbox", "cp", &format!("{ID}:/a"), &here("no/such/x")], "").await;
    assert_eq!(said(&nowhere).0, Some(1));
    assert_eq!(names(folder.path()), ["a b.txt", "b"]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_refusal_is_shown_in_the_servers_words() {
    let refusal = async || {
        let body = r#"{"error":"no sandbox `x`","code":"not_found","hint":"look again"}"#;
        (StatusCode::NOT_FOUND, body)
    };
    let fake = Fake::start(Router::new().route("/sandboxes", get(refusal))).await;
    let (code, stdout, stderr) = said(&fake.pando(&["sandbox", "ls"], "").await);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(stderr, "error: no sandbox `x` (404)\nhint: look again\n");
}

#[tokio::test]
async fn schedules_are_added_listed_and_removed() {
    let schedule = |id: &str, extra: &str| {
        format!(
            r#"{{"id":"{id}","sandbox_id":"{ID}","cron":"0 3 * * *","command":"./report",
            "timeout_seconds":60,"paused":false,"next_due_at":"2026-01-31T03:00:00.000Z",
            "running_since":null,"created_at":"2026-01-30T00:00:00.000Z",{extra}}}"#
        )
    };
    let fresh = schedule(ID, r#""last_run":null,"last_miss":null"#);
    let ran = schedule(
        ID,
        r#""last_run":{"due_at":"2026-01-30T03:00:00.000Z","started_at":"2026-01-30T03:00:01.000Z",
        "ended_at":"2026-01-30T03:00:02.000Z","exit_code":7,"error":null,"output":"x"},
        "last_miss":{"due_at":"2026-01-29T03:00:00.000Z","reason":"no room"}"#,
    );
    let add = async move |body: Bytes| {
        let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&asked["cron"], &asked["command"]), (&"0 3 * * *".into(), &"./report".into()));
        assert_eq!(asked["timeout_seconds"], 60);
        (StatusCode::CREATED, fresh)
    };
    let list = async move || format!(r#"{{"items":[{ran}],"next_cursor":null}}"#);
    let all = format!("/sandboxes/{ID}/schedules");
    let routes = Router::new()
        .route(&all, get(list).post(add))
        .route(&format!("{all}/{ID}"), axum::routing::delete(async || StatusCode::NO_CONTENT));
    let fake = Fake::start(routes).await;
    let arguments = ["sandbox", "schedule", "add", ID, "0 3 * * *", "./report", "--timeout", "60"];
    let (code, stdout, stderr) = said(&fake.pando(&arguments, "").await);
    assert_eq!((code, stdout.as_str()), (Some(0), format!("{ID}\n").as_str()));
    assert!(stderr.contains("2026-01-31T03:00:00.000Z"), "{stderr}");
    let (code, stdout, _) = said(&fake.pando(&["sandbox", "schedule", "ls", ID], "").await);
    assert!(code == Some(0) && stdout.contains("exit code 7") && !stdout.contains("no room"));
    let removed = fake.pando(&["sandbox", "schedule", "rm", ID, ID], "").await;
    assert_eq!(said(&removed), (Some(0), format!("{ID}\n"), String::new()));
}

#[tokio::test]
async fn a_lease_is_taken_told_and_ended() {
    let lifecycle = |until: &str| {
        format!(
            r#"{{"ttl_seconds":null,"persistent":true,"idle_timeout_seconds":300,
            "leased_until":{until},"idle_seconds":0,"expires_at":null}}"#
        )
    };
    let (taken, ended) = (lifecycle(r#""2026-01-31T03:00:00.000Z""#), lifecycle("null"));
    let take = async move |body: Bytes| {
        assert_eq!(body, r#"{"seconds":60}"#);
        taken
    };
    let end = axum::routing::delete(async move || ended);
    let path = format!("/sandboxes/{ID}/lease");
    let fake = Fake::start(Router::new().route(&path, end.post(take))).await;
    let took = fake.pando(&["sandbox", "lease", ID, "--seconds", "60"], "").await;
    assert_eq!(said(&took), (Some(0), "2026-01-31T03:00:00.000Z\n".into(), String::new()));
    let (code, stdout, stderr) = said(&fake.pando(&["sandbox", "lease", ID, "--end"], "").await);
    assert_eq!((code, stdout.as_str()), (Some(0), ""));
    assert!(stderr.contains("no lease"), "{stderr}");
    let both = fake.pando(&["sandbox", "lease", ID, "--end", "--seconds", "60"], "").await;
    assert_eq!(said(&both).0, Some(2));
}

#[tokio::test]
async fn a_create_says_when_the_sandbox_sleeps() {
    let create = async |body: Bytes| {
        let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
        (StatusCode::BAD_REQUEST, format!(r#"{{"error":"{}"}}"#, asked["idle_timeout_seconds"]))
    };
    let fake = Fake::start(Router::new().route("/sandboxes", axum::routing::post(create))).await;
    for (given, sent) in [("300", "300"), ("off", "0")] {
        let asked = fake.pando(&["sandbox", "create", "--idle-timeout-seconds", given], "").await;
        assert!(said(&asked).2.contains(sent), "{asked:?}");
    }
}

#[tokio::test]
async fn json_is_what_the_api_said_even_fields_that_are_new() {
    let list = async || r#"{"items":[{"id":"x","new_in_2030":1}],"next":null}"#;
    let fake = Fake::start(Router::new().route("/previews", get(list))).await;
    let (code, stdout, stderr) = said(&fake.pando(&["preview", "ls", "--json"], "").await);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let said: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(said["items"][0]["new_in_2030"], 1);
}

#[tokio::test]
async fn logs_are_lines_and_a_followed_one_ends_with_its_sandbox() {
    let answer = async |RawQuery(query): RawQuery| {
        let query = query.unwrap_or_default();
        if !query.contains("follow=true") {
            assert_eq!(query, "stream=stderr&tail=2");
            return ([("content-type", "text/plain")], "one\n\u{1b}[2Jtwo\n");
        }
        let events = "data: {\"line\":\"a\",\"time\":\"t1\"}\n\n: still here\n\n\
                      data: {\"line\":\"b\",\"time\":\"t2\"}\n\n";
        ([("content-type", "text/event-stream")], events)
    };
    let fake =
        Fake::start(Router::new().route(&format!("/sandboxes/{ID}/logs"), get(answer))).await;
    let arguments = ["sandbox", "logs", ID, "--stream", "stderr", "--tail", "2"];
    assert_eq!(said(&fake.pando(&arguments, "").await), (Some(0), "one\nJtwo\n".into(), "".into()));
    let followed = fake.pando(&["sandbox", "logs", ID, "-f", "-t"], "").await;
    assert_eq!(said(&followed), (Some(0), "t1 a\nt2 b\n".into(), String::new()));
}

#[tokio::test]
async fn shells_learn_the_commands() {
    let fake = Fake::start(Router::new()).await;
    for (shell, mark) in
        [("bash", "_pando()"), ("zsh", "#compdef pando"), ("fish", "complete -c pando")]
    {
        let (code, stdout, stderr) = said(&fake.pando(&["completions", shell], "").await);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(stdout.contains(mark) && stdout.contains("preview"), "{shell}");
    }
}

#[tokio::test]
async fn a_shell_without_a_terminal_points_to_exec() {
    let fake = Fake::start(Router::new()).await;
    let (code, _, stderr) = said(&fake.pando(&["sandbox", "shell", ID], "").await);
    assert_eq!(code, Some(125));
    assert!(stderr.contains("needs a terminal") && stderr.contains("sandbox exec"), "{stderr}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_in_two_lines() {
    let fake = Fake::start(Router::new()).await;
    let url = fake.url.clone();
    drop(fake);
    let run = async |url: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pando"));
        command.args(["sandbox", "ls", "--api-url", url]).env_clear().env("PANDO_API_KEY", KEY);
        said(&command.output().await.unwrap())
    };
    // The listener closes when its task has noticed.
    let (code, _, stderr) = loop {
        let ran = run(&url).await;
        if ran.2.contains("refused") {
            break ran;
        }
    };
    assert_eq!((code, stderr.lines().count()), (Some(1), 2), "{stderr}");
    assert!(stderr.contains("pando serve") && stderr.contains("--api-url"), "{stderr}");
    let (_, _, stderr) = run("ftp://127.0.0.1").await;
    assert!(stderr.contains("is not the URL of a server"), "{stderr}");
}

#[tokio::test]
async fn the_doctor_may_be_cut_short() {
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_pando"));
    let mut child = doctor
        .args(["doctor", "--data", "/nonexistent"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "no panic, and nobody to tell");
}
