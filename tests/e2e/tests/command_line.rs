//! The command line where scripts use it: in pipes, with exit codes.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use pando_e2e::{Options, Sandbox, Server, program};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// How long anything that is bound to come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// `pando`, with the server's address and key.
fn pando(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("pando"));
    command
        .args(arguments)
        .env("PANDO_API_URL", server.url(""))
        .env("PANDO_API_KEY", server.api_key())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs it to its end, with this on its standard input.
async fn piped(server: &Server, arguments: &[&str], input: &[u8]) -> anyhow::Result<Output> {
    let mut child = pando(server, arguments).stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("no input")?;
    let feed = async move {
        // A command that reads no input may be gone already.
        let _ = stdin.write_all(input).await;
    };
    let (_, output) =
        timeout(PATIENCE, async { tokio::join!(feed, child.wait_with_output()) }).await?;
    Ok(output?)
}

async fn exec(
    sandbox: &str,
    server: &Server,
    script: &str,
    input: &[u8],
) -> anyhow::Result<Output> {
    piped(server, &["sandbox", "exec", sandbox, "--", "sh", "-c", script], input).await
}

#[tokio::test(flavor = "multi_thread")]
async fn exec_is_byte_true_both_ways() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let exec = async |script: &str, input: &[u8]| exec(&sandbox.id, &server, script, input).await;

    // More than every buffer on the way holds, and none of it text.
    let bytes: Vec<u8> =
        (0..20_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let output = exec("cat", &bytes).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.stdout == bytes, "{} bytes of {} came back", output.stdout.len(), bytes.len());

    let output = exec(r"printf '\377\000out'; printf '\377\000err' >&2; exit 7", b"").await?;
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"\xFF\0out"[..], &b"\xFF\0err"[..]));

    // Whoever stops reading ends neither side's patience.
    let output = exec("head -c 3", &bytes).await?;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &bytes[..3]));
    server.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_is_the_commands_once_and_then_its_end() -> anyhow::Result<()> {
    let server = Server::start(Options::default()).await?;
    let sandbox = server.sandbox(json!({})).await?;
    let heeds = "trap 'exit 3' INT; echo on; while :; do sleep 0.1; done";
    assert_eq!(interrupted(&server, &sandbox, heeds, 1).await?, Some(3));
    assert_eq!(interrupted(&server, &sandbox, "echo on; exec sleep 4323", 1).await?, Some(130));
    let ignores = "trap '' INT; echo on; sleep 4323";
    assert_eq!(interrupted(&server, &sandbox, ignores, 2).await?, Some(130));
    let gone = "for try in $(seq 100); do pgrep -x sleep || exit 0; sleep 0.1; done; exit 1";
    sandbox.sh(gone).await?;
    server.finish()
}

/// The exit code of a command that is interrupted so many times once it is on.
async fn interrupted(
    server: &Server,
    sandbox: &Sandbox<'_>,
    script: &str,
    times: u32,
) -> anyhow::Result<Option<i32>> {
    let arguments = ["sandbox", "exec", &sandbox.id, "--", "sh", "-c", script];
    let mut child = pando(server, &arguments).spawn()?;
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("no pid")?;
    let mut said = BufReader::new(child.stdout.take().context("no output")?).lines();
    assert_eq!(timeout(PATIENCE, said.next_line()).await??.as_deref(), Some("on"));
    for time in 0..times {
        if time > 0 {
            // One signal is kept of several that come at once.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        kill_process(pid, Signal::INT)?;
    }
    Ok(timeout(PATIENCE, child.wait()).await??.code())
}
