//! Starting what runs in a template, and waiting until it is ready: the machine is saved
//! after that, so that every sandbox of it begins ready.

use std::time::Duration;

use futures_util::StreamExt;
use pando_guest_protocol::session::Exec;
use pando_types::limits::MAX_TEMPLATE_READY_TIME;
use pando_types::template::TemplateConfig;
use tokio::time::Instant;

use super::halt::Halt;
use super::log::{Lines, Log};
use crate::guest::{ExecInput, Guest, GuestError};

/// Where the command's own output goes, in the sandbox.
const START_LOG: &str = "/var/log/pando/start.log";
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// How long one run of the check may take.
const CHECK_LIMIT: Duration = Duration::from_secs(30);
/// How long a command of which nothing tells when it is ready is left to begin.
const SETTLE: Duration = Duration::from_secs(2);
/// What is shown of the command's output when it does not become ready.
const SHOWN_LINES: usize = 40;
const SHOWN_BYTES: usize = 64 * 1024;

/// Starts the command of `config`, if it has one, and waits until it is ready.
pub(super) async fn start(
    guest: &Guest,
    config: &TemplateConfig,
    log: &mut Log,
) -> Result<(), Halt> {
    if config.command.is_empty() {
        log.say("The image names no command: its sandboxes begin as they boot.").await;
        return Ok(());
    }
    log.say(&format!("Starting {}", shown(&config.command))).await;
    let exec =
        Exec { detached_log: Some(START_LOG.to_owned()), ..command(config, &config.command) };
    let begun = Instant::now();
    let started = guest.start(exec).await.map_err(|error| could_not(&config.command, &error))?;
    if config.ready.is_empty() && config.ports.is_empty() {
        log.say("No port is exposed and there is no health check: it is given a moment.").await;
        tokio::time::sleep(SETTLE).await;
        if !lives(guest, started.pid).await? {
            log.say("The command has ended already; sandboxes begin after that.").await;
            show_output(guest, log).await;
        }
        return Ok(());
    }
    loop {
        if is_ready(guest, config).await? {
            let seconds = begun.elapsed().as_secs_f32();
            log.say(&format!("It was ready after {seconds:.1} s.")).await;
            return Ok(());
        }
        // It may have handed over to another process and left: then the probe tells.
        let gone = !lives(guest, started.pid).await? && !is_ready(guest, config).await?;
        if gone || begun.elapsed() > MAX_TEMPLATE_READY_TIME {
            show_output(guest, log).await;
            return Err(Halt::Failed(not_ready(config, gone)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A command as the image runs it.
fn command(config: &TemplateConfig, argv: &[String]) -> Exec {
    Exec {
        argv: argv.to_vec(),
        cwd: Some(config.cwd.clone().unwrap_or_else(|| "/".to_owned())),
        env: config.env.clone(),
        user: config.user.clone(),
        timeout_ms: None,
        detached_log: None,
        log_name: None,
        root: None,
    }
}

fn could_not(argv: &[String], error: &GuestError) -> Halt {
    Halt::Failed(format!("{} could not be started: {error}", shown(argv)))
}

fn not_ready(config: &TemplateConfig, gone: bool) -> String {
    let waited_for = if config.ready.is_empty() {
        let ports: Vec<String> = config.ports.iter().map(u16::to_string).collect();
        match ports.as_slice() {
            [port] => format!("listened on port {port}"),
            _ => format!("listened on one of the ports {}", ports.join(", ")),
        }
    } else {
        "passed its health check".to_owned()
    };
    let command = shown(&config.command);
    if gone {
        format!("{command} ended before it {waited_for}; the log holds what it said")
    } else {
        let seconds = MAX_TEMPLATE_READY_TIME.as_secs();
        format!("{command} had not {waited_for} after {seconds} s; the log holds what it said")
    }
}

fn shown(argv: &[String]) -> String {
    format!("`{}`", crate::quote(&argv.join(" ")))
}

async fn is_ready(guest: &Guest, config: &TemplateConfig) -> Result<bool, Halt> {
    if config.ready.is_empty() {
        let listeners = guest.ports().await?;
        return Ok(listeners.iter().any(|listener| config.ports.contains(&listener.port)));
    }
    let timeout_ms = u64::try_from(CHECK_LIMIT.as_millis()).ok();
    let check = Exec { timeout_ms, ..command(config, &config.ready) };
    let checked = guest.exec_stream(check, ExecInput::Empty).await;
    let checked = checked.map_err(|error| could_not(&config.ready, &error))?;
    Ok(checked.finish(0).await?.done.exit_code == 0)
}

async fn lives(guest: &Guest, pid: u32) -> Result<bool, Halt> {
    let processes = guest.processes().await?;
    Ok(processes.iter().any(|process| process.pid == pid && process.state != 'Z'))
}

/// Puts the end of what the command said into the build's log.
async fn show_output(guest: &Guest, log: &mut Log) {
    let Ok((entry, mut bytes)) = guest.read_file(START_LOG).await else { return };
    let mut end = Vec::new();
    while let Some(Ok(piece)) = bytes.next().await {
        end.extend_from_slice(&piece);
        let over = end.len().saturating_sub(SHOWN_BYTES);
        end.drain(..over);
    }
    if entry.size_bytes == 0 {
        log.say("It said nothing.").await;
        return;
    }
    let mut lines = Lines::default();
    let mut all = lines.push(&end);
    all.extend(lines.finish());
    let from = all.len().saturating_sub(SHOWN_LINES);
    log.say("The end of what it said:").await;
    log.lines(&all[from..]).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_become_ready_is_told() {
        let mut config = TemplateConfig {
            command: vec!["python3".into(), "a b".into()],
            ports: vec![80],
            ..TemplateConfig::default()
        };
        assert_eq!(
            not_ready(&config, true),
            "`python3 a b` ended before it listened on port 80; the log holds what it said"
        );
        config.ready = vec!["true".into()];
        assert_eq!(
            not_ready(&config, false),
            "`python3 a b` had not passed its health check after 120 s; the log holds what it said"
        );
    }
}
