//! What reaches into a running sandbox: terminals, many commands over one
//! connection, logs, code sessions, processes and stats, its clock.

use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use pando_e2e::{Options, Sandbox, Server};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long anything that is bound to come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn socket(server: &Server, path: &str) -> anyhow::Result<Socket> {
    let url = server.url(path).replacen("http", "ws", 1);
    let mut request = url.into_client_request()?;
    let key = format!("Bearer {}", server.api_key());
    request.headers_mut().insert("authorization", key.parse()?);
    Ok(connect_async(request).await?.0)
}

/// The next message that says something.
async fn next(socket: &mut Socket) -> anyhow::Result<Message> {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.context("silence")?;
        match message.context("the end")?? {
            Message::Ping(_) | Message::Pong(_) => {}
            message => return Ok(message),
        }
    }
}

async fn next_json(socket: &mut Socket) -> anyhow::Result<Value> {
    loop {
        match next(socket).await? {
            Message::Text(text) => return Ok(serde_json::from_str(&text)?),
            // What a terminal shows meanwhile.
            Message::Binary(_) => {}
            other => bail!("no JSON: {other:?}"),
        }
    }
}

/// Reads what a terminal shows until it shows `wanted`.
async fn until_shown(socket: &mut Socket, shown: &mut String, wanted: &str) -> anyhow::Result<()> {
    while !shown.contains(wanted) {
        match next(socket).await.with_context(|| format!("no {wanted:?} in {shown:?}"))? {
            Message::Binary(bytes) => shown.push_str(&String::from_utf8_lossy(&bytes)),
            other => bail!("no {wanted:?} in {shown:?}, but {other:?}"),
        }
    }
    Ok(())
}

async fn send_json(socket: &mut Socket, value: Value) -> anyhow::Result<()> {
    Ok(socket.send(Message::text(value.to_string())).await?)
}

async fn type_in(socket: &mut Socket, text: &str) -> anyhow::Result<()> {
    Ok(socket.send(Message::binary(text.as_bytes().to_vec())).await?)
}

async fn get(server: &Server, path: &str) -> anyhow::Result<Value> {
    let answer = server.request(Method::GET, path).send().await?;
    let status = answer.status();
    let body = answer.json().await?;
    ensure!(status.is_success(), "{path} answered {status}: {body}");
    Ok(body)
}

/// Waits until a shell command in the sandbox succeeds.
async fn until(sandbox: &Sandbox<'_>, command: &str) -> anyhow::Result<()> {
    let begun = std::time::Instant::now();
    while sandbox.exec(command).await?.exit_code != 0 {
        ensure!(begun.elapsed() < PATIENCE, "never came: {command}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_typed_at_resized_and_hung_up() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let path = sandbox.path("/exec/pty?rows=30&cols=100&user=app");
    let mut terminal = socket(&server, &path).await?;
    let mut shown = String::new();
    type_in(&mut terminal, "id -un; stty size; tty; echo $TERM; echo 'he''re'\n").await?;
    until_shown(&mut terminal, &mut shown, "\r\nhere\r\n").await?;
    for wanted in ["app\r\n30 100\r\n", "/dev/pts/", "xterm-256color\r\n"] {
        ensure!(shown.contains(wanted), "{shown:?}");
    }
    send_json(&mut terminal, json!({ "resize": { "rows": 50, "cols": 132 } })).await?;
    send_json(&mut terminal, json!({ "stdin": "stty size\n" })).await?;
    until_shown(&mut terminal, &mut shown, "50 132\r\n").await?;
    send_json(&mut terminal, json!({ "nonsense": 1 })).await?;
    let complaint = next_json(&mut terminal).await?;
    assert_eq!(complaint["code"], "invalid_request", "{complaint}");
    type_in(&mut terminal, "exit 7\n").await?;
    loop {
        match next(&mut terminal).await? {
            Message::Text(text) => {
                assert_eq!(serde_json::from_str::<Value>(&text)?, json!({ "exit": 7 }));
                break;
            }
            Message::Binary(_) => {}
            other => bail!("{other:?}"),
        }
    }

    // A client that goes away takes its session along, jobs that ignore the hangup too.
    let mut terminal = socket(&server, &sandbox.path("/ssh")).await?;
    let mut shown = String::new();
    type_in(&mut terminal, "(trap '' HUP; exec sleep 4321) & sleep 0.2; echo 'go''es'\n").await?;
    until_shown(&mut terminal, &mut shown, "\r\ngoes\r\n").await?;
    sandbox.sh("pgrep -x sleep").await?;
    drop(terminal);
    until(&sandbox, "! pgrep -x sleep && ! pgrep -x bash").await?;

    // Refusals come before the WebSocket, or as its last message.
    let plain = server.request(Method::GET, &sandbox.path("/exec/pty")).send().await?;
    assert_eq!(plain.status(), 426);
    assert_eq!(plain.headers()["upgrade"], "websocket");
    let bad = socket(&server, &sandbox.path("/exec/pty?rows=0")).await;
    ensure!(format!("{:#}", bad.err().context("taken")?).contains("400"));
    let mut missing = socket(&server, &sandbox.path("/exec/pty?user=nobody-here")).await?;
    let said = next_json(&mut missing).await?;
    ensure!(said["error"].as_str().unwrap_or_default().contains("no user"), "{said}");
    assert_eq!(said["field"], "user", "{said}");

    // A browser has no header for its key.
    let url = server.url(&sandbox.path("/exec/pty?access_token=")).replacen("http", "ws", 1);
    let mut by_query = connect_async(format!("{url}{}", server.api_key())).await?.0;
    // The sandbox's end is the terminal's.
    sandbox.delete().await?;
    loop {
        match next(&mut by_query).await {
            Ok(Message::Binary(_)) => {}
            Ok(Message::Text(text)) => {
                let said: Value = serde_json::from_str(&text)?;
                ensure!(said["error"].is_string() || said["exit"].is_i64(), "{said}");
            }
            Ok(Message::Close(_)) | Err(_) => break,
            Ok(other) => bail!("{other:?}"),
        }
    }
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_opens_a_shell() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let pando = pando_e2e::program("pando");
    // `script` gives the program a terminal; its own input is what is typed.
    let command = format!("{} sandbox shell {} --cwd /srv", pando.display(), sandbox.id);
    let mut child = tokio::process::Command::new("script")
        .args(["-qefc", &command, "/dev/null"])
        .env("PANDO_API_URL", server.url(""))
        .env("PANDO_API_KEY", server.api_key())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("no input")?;
    let mut stdout = child.stdout.take().context("no output")?;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut shown = Vec::new();
    let mut wait_for = async |wanted: &str| -> anyhow::Result<()> {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&shown).contains(wanted) {
            let count = timeout(PATIENCE, stdout.read(&mut buffer)).await??;
            ensure!(count > 0, "ended: {}", String::from_utf8_lossy(&shown));
            shown.extend_from_slice(&buffer[..count]);
        }
        Ok(())
    };
    wait_for("/srv#").await?;
    stdin.write_all(b"pwd; echo 'wor''ks'; exit 5\n").await?;
    wait_for("/srv\r\nworks\r\n").await?;
    let status = timeout(PATIENCE, child.wait()).await??;
    assert_eq!(status.code(), Some(5));

    let run = async |arguments: &[&str]| -> anyhow::Result<String> {
        let output = tokio::process::Command::new(&pando)
            .args(arguments)
            .env("PANDO_API_URL", server.url(""))
            .env("PANDO_API_KEY", server.api_key())
            .output()
            .await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    sandbox.sh("echo to-the-log; setsid sleep 4321 >/dev/null 2>&1 &").await?;
    ensure!(run(&["sandbox", "logs", &sandbox.id]).await?.contains("to-the-log\n"));
    let top = run(&["sandbox", "top", &sandbox.id, "--once"]).await?;
    ensure!(top.contains("sleep 4321") && top.contains("CPU%"), "{top}");
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_share_one_connection() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let mut many = socket(&server, &sandbox.path("/exec/ws")).await?;
    for number in 0..8 {
        let command = format!("sleep 0.2; echo out {number}; echo err {number} >&2; exit {number}");
        send_json(&mut many, json!({ "id": number, "cmd": command })).await?;
    }
    let (mut exits, mut said) = (0, String::new());
    while exits < 8 {
        let message = next_json(&mut many).await?;
        if let Some(data) = message["data"].as_str() {
            said.push_str(&format!("{} {data}", message["stream"].as_str().unwrap_or("?")));
        } else {
            assert_eq!(message["exit"], message["id"], "{message}");
            exits += 1;
        }
    }
    for number in 0..8 {
        ensure!(said.contains(&format!("stdout out {number}\n")), "{said}");
        ensure!(said.contains(&format!("stderr err {number}\n")), "{said}");
    }

    // Input that stays open, a signal, a cancellation, a flood beside a quiet one.
    send_json(&mut many, json!({ "id": "cat", "cmd": "cat", "open_stdin": true })).await?;
    send_json(&mut many, json!({ "id": "cat", "stdin": "typed" })).await?;
    assert_eq!(next_json(&mut many).await?["data"], "typed");
    send_json(&mut many, json!({ "id": "cat", "eof": true })).await?;
    assert_eq!(next_json(&mut many).await?["exit"], 0);
    send_json(
        &mut many,
        json!({ "id": "trap", "cmd": "trap 'echo got; exit 3' INT; echo on; while :; do sleep 0.1; done" }),
    )
    .await?;
    assert_eq!(next_json(&mut many).await?["data"], "on\n");
    send_json(&mut many, json!({ "id": "trap", "signal": "INT" })).await?;
    assert_eq!(next_json(&mut many).await?["data"], "got\n");
    assert_eq!(next_json(&mut many).await?["exit"], 3);
    send_json(&mut many, json!({ "id": "long", "cmd": "echo on; exec sleep 4321" })).await?;
    assert_eq!(next_json(&mut many).await?["data"], "on\n");
    send_json(&mut many, json!({ "id": "long", "cancel": true })).await?;
    ensure!(next_json(&mut many).await?["error"].as_str().unwrap_or("").contains("cancelled"));
    until(&sandbox, "! pgrep -x sleep").await?;

    // Refusals keep the id; the connection goes on.
    for (message, code) in [
        (json!({ "id": "x", "cmd": "" }), "invalid_request"),
        (json!({ "id": "x", "stdin": "y" }), "not_found"),
        (json!({ "id": "x", "signal": "NOPE" }), "invalid_request"),
        (json!({ "id": "x", "cmd": ["no-such-program"] }), "invalid_request"),
        (json!({ "id": "x", "cmd": "sleep 60", "timeout_seconds": 0.3 }), "timeout"),
    ] {
        send_json(&mut many, message.clone()).await?;
        let refused = next_json(&mut many).await?;
        assert_eq!((&refused["id"], &refused["code"]), (&json!("x"), &json!(code)), "{message}");
    }
    for number in 0..33 {
        send_json(&mut many, json!({ "id": format!("n{number}"), "cmd": "exec sleep 4322" }))
            .await?;
    }
    assert_eq!(next_json(&mut many).await?["code"], "over_quota");
    until(&sandbox, "test $(pgrep -fc '^sleep 4322') = 32").await?;
    // A client that goes away takes them all along.
    drop(many);
    until(&sandbox, "! pgrep -f '^sleep 4322'").await?;
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn code_sessions_outlast_the_server_and_end_with_their_sandbox() -> anyhow::Result<()> {
    let mut server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let (id, sessions) = (sandbox.id.clone(), sandbox.path("/repl/sessions"));
    let post = async |server: &Server, path: &str, body: Value| -> anyhow::Result<(u16, Value)> {
        let answer = server.request(Method::POST, path).json(&body).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    };
    let (status, made) =
        post(&server, &sessions, json!({ "language": "python", "user": "app" })).await?;
    assert_eq!((status, &made["language"]), (201, &json!("python")), "{made}");
    let session = format!("{sessions}/{}", made["id"].as_str().context("no id")?);
    let run = format!("{session}/run");
    let (status, ran) =
        post(&server, &run, json!({ "code": "import getpass\nx = 41\ngetpass.getuser()" })).await?;
    assert_eq!((status, &ran["results"][0]["text/plain"]), (200, &json!("'app'")), "{ran}");

    // Another language has another interpreter; a missing one is named.
    let (status, refused) = post(&server, &sessions, json!({ "language": "cobol" })).await?;
    assert_eq!((status, &refused["field"]), (400, &json!("language")));

    // Out of time: 504, and the state is kept.
    let (status, refused) =
        post(&server, &run, json!({ "code": "while True: pass", "timeout_ms": 500 })).await?;
    assert_eq!(status, 504, "{refused}");
    ensure!(refused["error"].as_str().unwrap_or("").contains("goes on"), "{refused}");

    // While one cell runs, another is told so; a client that leaves interrupts its cell.
    let slow = post(&server, &run, json!({ "code": "import time; time.sleep(3600)" }));
    let gave_up = timeout(Duration::from_secs(2), slow).await;
    ensure!(gave_up.is_err(), "{gave_up:?}");
    let begun = std::time::Instant::now();
    let ran = loop {
        let (status, ran) = post(&server, &run, json!({ "code": "x + 1" })).await?;
        if status == 200 {
            break ran;
        }
        assert_eq!(status, 409, "{ran}");
        ensure!(begun.elapsed() < PATIENCE, "still busy: {ran}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(ran["results"][0]["text/plain"], "42");

    // The server is killed; the session is the sandbox's.
    server.kill()?;
    server.launch().await?;
    let begun = std::time::Instant::now();
    let ran = loop {
        let (status, ran) = post(&server, &run, json!({ "code": "x + 2" })).await?;
        if status == 200 {
            break ran;
        }
        ensure!(begun.elapsed() < PATIENCE, "{status}: {ran}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(ran["results"][0]["text/plain"], "43");
    let list = get(&server, &sessions).await?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");

    let closed = server.request(Method::DELETE, &session).send().await?;
    assert_eq!(closed.status(), 204);
    let (status, _) = post(&server, &run, json!({ "code": "x" })).await?;
    assert_eq!(status, 404);
    let removed = server.request(Method::DELETE, &format!("/v1/sandboxes/{id}")).send().await?;
    assert_eq!(removed.status(), 204);
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_processes_stats_and_metrics() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    sandbox.sh("echo first; echo wrong >&2").await?;
    let text = async |query: &str| -> anyhow::Result<String> {
        let path = sandbox.path(&format!("/logs?{query}"));
        let answer = server.request(Method::GET, &path).send().await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        Ok(answer.text().await?)
    };
    assert_eq!(text("stream=stdout").await?, "first\n");
    assert_eq!(text("stream=stderr").await?, "wrong\n");
    ensure!(text("timestamps=true&tail=1&stream=stdout").await?.contains("Z stdout first\n"));

    // One that follows hears what comes, and ends with the sandbox.
    let path = sandbox.path("/logs?follow=1&stream=stdout&tail=0");
    let mut events = server.request(Method::GET, &path).send().await?;
    sandbox.sh("echo second").await?;
    let mut heard = String::new();
    while !heard.contains("\"line\":\"second\"") {
        let piece = timeout(PATIENCE, events.chunk()).await??.context("the stream ended")?;
        heard.push_str(&String::from_utf8_lossy(&piece));
    }

    // A sandbox that floods its log keeps answering, and keeps the last of it.
    sandbox.exec("seq 1 400000").await?;
    let last = text("tail=1").await?;
    assert_eq!(last, "400000\n");
    ensure!(text("").await?.len() <= 2 << 20);

    let processes = get(&server, &sandbox.path("/processes")).await?;
    let items = processes["items"].as_array().context("no list")?;
    ensure!(items.iter().any(|process| process["pid"] == 1), "{processes}");
    ensure!(items.iter().all(|process| process["user"] == "root"), "{processes}");

    sandbox.sh("head -c 50000000 /dev/zero > /srv/zeros; sync").await?;
    let stats = get(&server, &sandbox.path("/stats")).await?;
    assert_eq!(stats["cpu"]["count"], 2, "{stats}");
    let number = |path: &str| stats.pointer(path).and_then(Value::as_f64).unwrap_or(-1.0);
    ensure!(number("/memory/total_bytes") > 1.5e9, "{stats}");
    ensure!(number("/disk/written_bytes") >= 5e7, "{stats}");
    ensure!(number("/disk/total_bytes") > 7e9, "{stats}");
    ensure!(number("/network/received_bytes") > 0.0, "{stats}");
    ensure!((0.0..=100.0).contains(&number("/cpu/percent")), "{stats}");
    ensure!(number("/uptime_seconds") > 0.0 && number("/uptime_seconds") < 900.0, "{stats}");
    let metrics = server.request(Method::GET, &sandbox.path("/metrics")).send().await?;
    ensure!(metrics.text().await?.contains("\npando_sandbox_cpus 2\n"));

    // Files are removed for good.
    let remove = async |query: &str| -> anyhow::Result<u16> {
        let path = sandbox.path(&format!("/fs?{query}"));
        Ok(server.request(Method::DELETE, &path).send().await?.status().as_u16())
    };
    sandbox.sh("mkdir -p /srv/full && touch /srv/full/x && ln -s /etc /srv/link").await?;
    assert_eq!(remove("path=/srv/full").await?, 409);
    assert_eq!(remove("path=/srv/full&recursive=true").await?, 204);
    assert_eq!(remove("path=/srv/link&recursive=true").await?, 204);
    assert_eq!(remove("path=/srv/zeros").await?, 204);
    assert_eq!(remove("path=/srv/zeros").await?, 404);
    assert_eq!(remove("path=/").await?, 409);
    sandbox.sh("test -d /etc && ! ls /srv/full /srv/link /srv/zeros").await?;

    sandbox.delete().await?;
    while timeout(PATIENCE, events.chunk()).await??.is_some() {}
    server.finish()
}

/// How far the guest's clock is from ours, at most: what the question itself took is not counted.
async fn clock_error(sandbox: &Sandbox<'_>) -> anyhow::Result<Duration> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_nanos());
    let before = now()?;
    let guest: u128 = sandbox.sh("date +%s%N").await?.parse()?;
    let after = now()?;
    let error = before.saturating_sub(guest).max(guest.saturating_sub(after));
    Ok(Duration::from_nanos(u64::try_from(error)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_right_after_a_restore_and_after_a_pause() -> anyhow::Result<()> {
    const ALLOWED: Duration = Duration::from_millis(50);
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let error = clock_error(&sandbox).await?;
    ensure!(error <= ALLOWED, "after the restore: {error:?}");
    for verb in ["/pause", "/resume"] {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let answer = server.request(Method::POST, &sandbox.path(verb)).send().await?;
        ensure!(answer.status().is_success());
    }
    let error = clock_error(&sandbox).await?;
    ensure!(error <= ALLOWED, "after the pause: {error:?}");
    server.finish()
}
