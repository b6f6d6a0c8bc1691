//! Guests that are hostile on their control line.

use std::time::Duration;

use pando_guest_protocol::control::ToHost;
use pando_types::{Epoch, SandboxId};

use super::machines::Line;
use super::say::Say;
use super::world::{Outcome, World, create, exec, run};
use crate::guest::ExecInput;
use crate::{NodeError, State};

/// More than the longest wait for a guest's first word.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// What the host may hold of one control line: a few of the longest lines.
const MEMORY_BYTES: usize = 2 << 20;
/// A reason is for a person.
const MAX_REASON_BYTES: usize = 1000;

fn line(message: &ToHost) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(message).unwrap();
    bytes.push(b'\n');
    bytes
}

#[test]
fn no_sandbox_is_made_of_a_guest_that_does_not_say_that_it_is_ready() {
    World::run(async |world| {
        let failed = ToHost::Failed { message: "\0no\u{1b}[2J\n".repeat(3000) };
        let unasked =
            [line(&ToHost::Attached), line(&ToHost::Booted { agent: "x".into() })].concat();
        let cases: [(&str, Say, &str); 13] = [
            ("silence", Say::nothing(), "said nothing for 60 s"),
            ("an end at once", Say::ThenClose(Vec::new()), "control line broke"),
            (
                "half a line and the end",
                Say::ThenClose(b"{\"type\":".to_vec()),
                "control line broke",
            ),
            ("an endless line", Say::Forever(Vec::new(), b"x".to_vec()), "something else"),
            ("NULs", Say::Forever(Vec::new(), vec![0]), "something else"),
            ("empty lines", Say::Forever(Vec::new(), b"\n".to_vec()), "something else"),
            ("nested JSON", Say::Forever(Vec::new(), b"[".to_vec()), "something else"),
            (
                "nested JSON lines",
                Say::Forever(Vec::new(), [&[b'['; 60_000][..], b"\n"].concat()),
                "something else",
            ),
            (
                "bytes that are no text",
                Say::Forever(Vec::new(), b"\xff\xfe\xc3\x28\n".to_vec()),
                "something else",
            ),
            ("answers to what was not asked", Say::Forever(Vec::new(), unasked), "something else"),
            ("a long failure", Say::Once(line(&failed)), "could not do it"),
            (
                "a slow line",
                Say::Slowly(Vec::new(), b"{\"type\":\"ready\" ".to_vec()),
                "said nothing for 60 s",
            ),
            ("slow lines", Say::Slowly(Vec::new(), b"{}\n".to_vec()), "said nothing for 60 s"),
        ];
        for (name, say, expected) in cases {
            let id = SandboxId::new();
            world.machines.restored(id, &say);
            let node = world.node().clone();
            // What follows on its failure takes the disk's time, not the clock's.
            let over = world.machines.lines_over();
            let decided = |_: &_| world.machines.lines_over() > over;
            let work = async move { create(&node, id).await };
            let Outcome { said, took, peak_bytes } =
                world.outlast(work, || world.is_recorded(id), decided).await;
            let Err(NodeError::NotMade(reason)) = said else { panic!("{name}: {said:?}") };
            assert!(reason.contains(expected), "{name}: {reason}");
            assert!(reason.len() <= MAX_REASON_BYTES, "{name}: a reason of {} bytes", reason.len());
            assert!(!reason.contains(char::is_control), "{name}: {reason:?}");
            assert!(took <= READY_WITHIN, "{name}: {took:?}");
            assert!(peak_bytes <= MEMORY_BYTES, "{name}: {peak_bytes} bytes");
            assert_eq!(world.counts(), (1, 1), "{name}");
        }
    });
}

#[test]
fn what_a_guest_says_after_it_is_ready_changes_nothing() {
    World::run(async |world| {
        let ready = line(&ToHost::Ready { mounted: 0 });
        let failed = line(&ToHost::Failed { message: "never mind".into() });
        for after in [ready.clone(), failed, b"\0\xff[[[[\n".to_vec(), vec![b'x'; 100_000]] {
            let id = SandboxId::new();
            world.machines.restored(id, &Say::Forever(ready.clone(), after));
            world.create(id).await.unwrap();
            let guest = world.node().guest(id, None).unwrap();
            guest.ping().await.unwrap();
            run(&guest, exec("true"), ExecInput::Empty, 100).await.unwrap();
            // The line is not read, so that the flood ends in its own buffer.
            world.node().pause(id, Epoch::first()).await.unwrap();
            world.node().resume(id, Epoch::first()).await.unwrap();
            world.friend_answers().await;
            world.node().delete(id, Epoch::first()).await.unwrap();
            assert_eq!(world.counts(), (1, 1));
        }
    });
}

#[test]
fn a_hostile_guest_keeps_neither_the_server_from_starting_nor_its_neighbours() {
    World::run(async |world| {
        let cases = [
            (Line::Refused, "cannot reach the control line"),
            (Line::Says(Say::nothing()), "said nothing for 30 s"),
            (Line::Says(Say::ThenClose(Vec::new())), "control line broke"),
            (
                Line::Says(Say::Forever(Vec::new(), line(&ToHost::Ready { mounted: 0 }))),
                "something else",
            ),
            (
                Line::Says(Say::Slowly(Vec::new(), line(&ToHost::Ready { mounted: 0 }))),
                "said nothing for 30 s",
            ),
        ];
        let mut made = Vec::new();
        for (line, expected) in cases {
            let (id, _) = world.sandbox().await;
            world.machines.adopted(id, line);
            made.push((id, expected));
        }
        world.restart().await;
        let node = world.node().clone();
        let waiting: Vec<_> = made.iter().map(|(id, _)| *id).collect();
        let decided = move || {
            let states = waiting.iter().map(|id| node.observe(*id).unwrap().state);
            states.into_iter().all(|state| state != State::Running)
        };
        super::clock::fly_until(decided).await;
        for (id, expected) in made {
            let Some(State::Failed { reason }) = world.state(id) else {
                panic!("{expected}: {:?}", world.state(id))
            };
            assert!(reason.contains(expected), "{expected}: {reason}");
            assert!(reason.len() <= MAX_REASON_BYTES);
            world.node().delete(id, Epoch::first()).await.unwrap();
        }
        assert_eq!(world.counts(), (1, 1));
    });
}
