//! The server's memory over many requests at once: guests that say all they can, and
//! clients that take none of it. The API, its rows and its node are real; machines are
//! null ones, and one agent speaks for all guests.
//!
//! One test a process: what is looked at is the process's own memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
mod apps;
mod domains;
mod repos;
mod schedules;
mod webhooks;
mod world;

use axum::http::{StatusCode, header};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use pando_types::limits::{
    MAX_DIR_ENTRIES, MAX_EXEC_OUTPUT_BYTES, MAX_HELD_BYTES, MAX_INPUTS_WAITING,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use agent::{DEAF, FLOOD, SMALL, SMALL_SAYS};
use world::{World, resident_bytes, resident_peak_bytes};

/// Twice as many as there is room for.
const FLOODS: usize = 60;
/// Directories of as many entries as are taken.
const LISTINGS: usize = 12;
/// What the process may take beside what it counts: code, rows, runtimes, what the
/// allocator keeps.
const BESIDE_BYTES: usize = 128 << 20;

#[test]
fn unread_floods_of_one_org_find_an_end_and_another_org_goes_on() {
    World::run(async |world| {
        let [flooder, neighbour] = &world.orgs;
        let before = resident_bytes();
        let flood = json!({ "cmd": FLOOD });
        let answers = join_all((0..FLOODS).map(|_| flooder.exec(&flood))).await;

        let count = |status| answers.iter().filter(|answer| answer.status() == status).count();
        let (whole, refused) = (count(StatusCode::OK), count(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(whole + refused, FLOODS);
        let each = 2 * MAX_EXEC_OUTPUT_BYTES;
        let most = MAX_HELD_BYTES / 2;
        assert!((most / each / 2..=most / each).contains(&whole), "{whole} were answered");
        assert!(world.budget.taken_bytes() <= most);
        let grown = resident_peak_bytes() - before;
        assert!(grown <= most + BESIDE_BYTES, "{} MiB more", grown >> 20);

        // Nobody has read anything yet; others are served.
        for _ in 0..20 {
            let answer = neighbour.exec(&json!({ "cmd": SMALL })).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let answer: Value = world::json(answer).await;
            assert_eq!(
                (answer["stdout"].as_str(), &answer["exit_code"]),
                (Some(SMALL_SAYS), &json!(0))
            );
        }

        // Those that were refused are told when to come again, and their commands are over.
        world.agent.until_ended(refused).await;
        let mut unread = Vec::new();
        for answer in answers {
            if answer.status() == StatusCode::OK {
                unread.push(answer);
                continue;
            }
            assert_eq!(answer.headers()[header::RETRY_AFTER], "5");
            assert_eq!(world::json(answer).await["code"], "unavailable");
        }

        // What was kept is whole: a NUL is six letters of it.
        let mut answer = unread.remove(0).into_body();
        let (mut nuls, mut length) = (0, 0);
        while let Some(frame) = answer.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            nuls += piece.iter().filter(|letter| **letter == b'\\').count();
            length += piece.len();
        }
        assert_eq!(nuls, each);
        assert!((6 * each..6 * each + 200).contains(&length), "{length} bytes");
        assert!(resident_peak_bytes() - before <= most + BESIDE_BYTES);

        drop((answer, unread));
        world.until_taken(0).await;
        let again = flooder.exec(&json!({ "cmd": SMALL })).await;
        assert_eq!(again.status(), StatusCode::OK);
    });
}

#[test]
fn a_thousand_small_commands_at_once_are_nothing() {
    World::run(async |world| {
        let [org, _] = &world.orgs;
        let small = json!({ "cmd": SMALL, "stdin": "x" });
        let answers = join_all((0..1000).map(|_| org.exec(&small))).await;
        assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
        drop(answers);
        // What was typed goes with a task of its own.
        world.until_taken(0).await;
    });
}

#[test]
fn listings_of_long_paths_are_made_as_they_are_taken() {
    World::run(async |world| {
        let [org, _] = &world.orgs;
        let before = resident_bytes();
        // Whole, one such answer has a hundred times a thousand times this path, and more.
        let path = format!("/{}", "x/".repeat(250));
        let answers = join_all((0..LISTINGS).map(|_| org.list(&path))).await;
        let most = MAX_HELD_BYTES / 2;
        let grown = resident_peak_bytes() - before;
        assert!(grown <= most + BESIDE_BYTES, "{} MiB more", grown >> 20);
        let mut answers = answers.into_iter().filter(|answer| answer.status() == StatusCode::OK);
        let mut one = answers.next().unwrap().into_body();
        drop(answers);
        let (mut length, mut last) = (0, Vec::new());
        while let Some(frame) = one.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            length += piece.len();
            last.extend_from_slice(&piece);
            last.drain(..last.len().saturating_sub(100));
        }
        assert!(length > MAX_DIR_ENTRIES * path.len(), "{length} bytes");
        assert!(last.ends_with(b"\"mtime\":1}]}"), "{}", String::from_utf8_lossy(&last));
        assert!(resident_peak_bytes() - before <= most + BESIDE_BYTES);
        drop(one);
        world.until_taken(0).await;
    });
}

#[test]
fn inputs_that_a_command_does_not_read_find_an_end() {
    World::run(async |world| {
        let [org, neighbour] = &world.orgs;
        let mut socket = org.socket().await;
        // All that the org may take alone, but for a little.
        let account = world.budget.account(Some(org.id));
        let left = 4 << 20;
        let hog = account.take(MAX_HELD_BYTES / 2 - world.budget.taken_bytes() - left).unwrap();
        let start = json!({ "id": "a", "cmd": DEAF, "open_stdin": true });
        socket.send(Message::text(start.to_string())).await.unwrap();
        let input = [b"{\"id\":\"a\"}\n".as_slice(), &[0; 250 << 10]].concat();
        for _ in 0..MAX_INPUTS_WAITING {
            socket.send(Message::binary(input.clone())).await.unwrap();
        }
        let said = socket.next().await.unwrap().unwrap().into_text().unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&said["id"], &said["code"]), (&json!("a"), &json!("unavailable")), "{said}");
        assert!(said["error"].as_str().unwrap().ends_with("so the command was killed"), "{said}");
        assert_eq!(neighbour.exec(&json!({ "cmd": SMALL })).await.status(), StatusCode::OK);
        drop(socket);
        world.until_taken(hog.bytes()).await;
    });
}
