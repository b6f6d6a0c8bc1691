//! What has no end of its own: terminals, and logs that are followed. Their silence is
//! nobody's fault, so they end with their sandbox or with a falsehood.

use std::time::Duration;

use futures_util::StreamExt;
use pando_guest_protocol::frame::{Kind, MAX_PAYLOAD_BYTES};
use pando_guest_protocol::log::{LogLines, LogQuery, Output};
use pando_guest_protocol::terminal::{Size, Terminal};
use pando_types::Epoch;

use super::memory::Mark;
use super::say::Say;
use super::sessions::{falsehoods, frame};
use super::world::{World, alive_tasks, until_tasks};
use crate::guest::{Guest, GuestError, TerminalEvent, TerminalInput, TerminalOutput};

/// What the host may hold of one of them, however fast it comes.
const MEMORY_BYTES: usize = 8 << 20;
/// Far beyond what the host and both kernels together hold of one connection.
const FLOOD_BYTES: u64 = 64 << 20;
/// How long a program may leave unread what is typed.
const STALL_WITHIN: Duration = Duration::from_secs(65);

async fn terminal(guest: &Guest) -> Result<(TerminalInput, TerminalOutput), GuestError> {
    let (argv, env, size) = (Vec::new(), Default::default(), Size::default());
    guest.terminal(Terminal { argv, cwd: None, env, user: None, size }).await
}

/// Looks at a terminal until it ends.
async fn watch(guest: Guest) -> Result<(), GuestError> {
    let (_input, mut output) = terminal(&guest).await?;
    while let TerminalEvent::Output(_) = output.next().await? {}
    Ok(())
}

/// Follows a log until it ends.
async fn follow(guest: Guest) -> Result<(), GuestError> {
    let mut lines = guest.logs(LogQuery { follow: true, ..LogQuery::default() }).await?;
    while let Some(lines) = lines.next().await {
        lines?;
    }
    Ok(())
}

fn line() -> Vec<u8> {
    let text = "y".repeat(1000);
    let lines = LogLines { time_ms: 1, output: Output::Stdout, pid: 1, process: None, text };
    let mut line = serde_json::to_vec(&lines).unwrap();
    line.push(b'\n');
    frame(Kind::Data, &line)
}

/// Whether it can go on so for as long as the sandbox lives: too little is said to
/// be false.
fn goes_on(say: &Say, of_kind: Kind) -> bool {
    match say {
        Say::Once(bytes) => bytes.len() < 6,
        Say::ThenClose(_) => false,
        Say::Slowly(_, again) => again[0] == of_kind as u8 || again[0] == Kind::Reply as u8,
        Say::Forever(first, again) => {
            first.is_empty() && again.len() == 5 && again[0] == of_kind as u8
        }
    }
}

#[test]
fn a_falsehood_ends_a_terminal_and_a_log() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        for (name, say) in falsehoods() {
            world.agents.says(id, say.clone());
            if !goes_on(&say, Kind::Stdout) {
                let outcome = world.outlast_session(watch(guest.clone())).await;
                assert!(outcome.said.is_err(), "{name}: was taken for a terminal");
                assert!(outcome.peak_bytes <= MEMORY_BYTES, "{name}: {}", outcome.peak_bytes);
            }
            let ends =
                matches!(&say, Say::Forever(first, _) if first.first() == Some(&(Kind::End as u8)));
            if !goes_on(&say, Kind::Data) {
                let outcome = world.outlast_session(follow(guest.clone())).await;
                assert!(outcome.said.is_err() || ends, "{name}: was taken for a log");
                assert!(outcome.peak_bytes <= MEMORY_BYTES, "{name}: {}", outcome.peak_bytes);
            }
        }
    });
}

#[test]
fn what_is_silent_ends_with_its_sandbox() {
    World::run(async |world| {
        let slow = || Say::Slowly(Vec::new(), frame(Kind::Stdout, &[b'y'; 1000]));
        for say in [Say::nothing(), slow()] {
            let (id, guest) = world.sandbox().await;
            world.agents.says(id, say);
            let met = world.agents.met();
            let tasks = alive_tasks();
            let watching = tokio::spawn(watch(guest.clone()));
            let following = tokio::spawn(follow(guest));
            while world.agents.met() < met + 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            world.friend_answers().await;
            assert!(!watching.is_finished() && !following.is_finished());
            world.node().delete(id, Epoch::first()).await.unwrap();
            assert!(matches!(watching.await.unwrap(), Err(GuestError::Gone)));
            // What it had to say is said.
            following.await.unwrap().unwrap();
            // Its actor's task ended, too.
            until_tasks(tasks).await;
        }
    });
}

#[test]
fn a_flood_waits_for_whoever_looks_at_it() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        let (tasks, mark) = (alive_tasks(), Mark::now());
        let shown = frame(Kind::Stdout, &vec![b'y'; MAX_PAYLOAD_BYTES]);
        world.agents.says(id, Say::Forever(Vec::new(), shown));
        let (input, mut output) = terminal(&guest).await.unwrap();
        for _ in 0..8 {
            assert!(matches!(output.next().await, Ok(TerminalEvent::Output(_))));
            world.friend_answers().await;
        }
        drop((input, output));
        world.agents.says(id, Say::Forever(Vec::new(), line()));
        let query = LogQuery { follow: true, ..LogQuery::default() };
        let mut lines = guest.logs(query).await.unwrap();
        for _ in 0..8 {
            assert!(matches!(lines.next().await, Some(Ok(_))));
            world.friend_answers().await;
        }
        drop(lines);
        until_tasks(tasks).await;
        let taken = world.agents.taken_bytes();
        assert!(taken < FLOOD_BYTES, "{taken} bytes were taken, and nobody looked");
        assert!(mark.peak_bytes() <= MEMORY_BYTES, "{} bytes", mark.peak_bytes());
    });
}

#[test]
fn a_log_without_end_that_is_not_followed_is_too_large() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        world.agents.says(id, Say::Forever(Vec::new(), line()));
        let asked = guest.clone();
        let work = async move { super::ask::Question::Logs.ask(asked).await };
        let outcome = world.outlast_session(work).await;
        assert!(matches!(outcome.said, Err(GuestError::TooLarge { .. })), "{:?}", outcome.said);
        assert!(outcome.peak_bytes <= MEMORY_BYTES, "{} bytes", outcome.peak_bytes);
    });
}

#[test]
fn what_is_typed_and_never_read_fails() {
    World::run(async |world| {
        let (_, guest) = world.sandbox().await;
        world.agents.ignore_next();
        let work = async move {
            let (mut input, _output) = terminal(&guest).await?;
            loop {
                input.type_in(&[b'y'; 64 * 1024]).await?;
            }
        };
        let outcome: super::world::Outcome<Result<(), GuestError>> =
            world.outlast_session(work).await;
        assert!(matches!(outcome.said, Err(GuestError::Timeout(_))), "{:?}", outcome.said);
        assert!(outcome.took <= STALL_WITHIN, "{:?}", outcome.took);
        assert!(outcome.peak_bytes <= MEMORY_BYTES, "{} bytes", outcome.peak_bytes);
    });
}
