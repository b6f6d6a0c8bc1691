//! Agents that are hostile in sessions: everything they could say, in answer to
//! everything that is asked.

use std::time::Duration;

use futures_util::StreamExt;
use pando_guest_protocol::frame::{Kind, MAX_PAYLOAD_BYTES};
use pando_guest_protocol::session::{Entry, EntryKind, Failure, FailureKind};

use super::ask::{QUESTIONS, Question};
use super::say::Say;
use super::world::{Outcome, World, exec, run};
use crate::guest::{ExecInput, Guest};

/// What a person can read of a failure.
const MAX_MESSAGE_BYTES: usize = 8 << 10;

fn header(kind: u8, length: u32) -> Vec<u8> {
    [&[kind][..], &length.to_be_bytes()].concat()
}

pub(super) fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    [&header(kind as u8, payload.len() as u32), payload].concat()
}

pub(super) fn entry(size_bytes: u64) -> Vec<u8> {
    let name = "f".to_owned();
    let kind = EntryKind::File;
    serde_json::to_vec(&Entry { name, kind, size_bytes, mode: 0o644, mtime_secs: 0 }).unwrap()
}

/// Answers that fit no question.
pub(super) fn falsehoods() -> Vec<(&'static str, Say)> {
    let reply = |payload: &[u8]| Say::Once(frame(Kind::Reply, payload));
    let longest = MAX_PAYLOAD_BYTES as u32;
    let failure = Failure { kind: FailureKind::Other, message: "\u{1b}[2J\0no ".repeat(20_000) };
    let failure = serde_json::to_vec(&failure).unwrap();
    let mut falsehoods = vec![
        ("silence", Say::nothing()),
        ("an end at once", Say::ThenClose(Vec::new())),
        ("half a header and the end", Say::ThenClose(vec![2, 0, 0])),
        ("half a frame and the end", Say::ThenClose(frame(Kind::Reply, b"{}")[..6].to_vec())),
        ("a reply of 4 GB", Say::Once(header(2, u32::MAX))),
        ("data of 4 GB", Say::Forever(header(4, u32::MAX), vec![0])),
        ("the longest frame, unsaid", Say::Once(header(2, longest))),
        ("one byte too long", Say::Forever(header(2, longest + 1), vec![b' '])),
        ("NULs", Say::Forever(Vec::new(), vec![0])),
        ("an endless line", Say::Forever(Vec::new(), b"x".to_vec())),
        ("a slow reply", Say::Slowly(Vec::new(), frame(Kind::Reply, &[b' '; 1000]))),
        ("a slow header", Say::Slowly(Vec::new(), header(2, longest))),
        ("a reply that is no text", reply(b"\xff\xfe\xc3\x28")),
        ("a reply that is nothing", reply(b"")),
        ("a reply of NULs", reply(&[0; 1000])),
        ("a reply of another shape", reply(b"[{\"exit_code\":\"0\"}]")),
        ("a reply of a huge number", reply(b"[1e999999]")),
        ("a reply nested deeply", reply(&[b'['; MAX_PAYLOAD_BYTES])),
        ("a reply nested deeply by name", reply(&b"{\"a\":".repeat(50_000))),
        ("a reply with endless names", reply(&[b"[{\"", &[b'n'; 200_000][..], b"\":1}]"].concat())),
        ("a failure that is no failure", Say::Once(frame(Kind::Failed, b"{\"kind\":\"?\"}"))),
        ("a long failure", Say::Once(frame(Kind::Failed, &failure))),
        ("a request", Say::Forever(Vec::new(), frame(Kind::Request, b"{}"))),
        (
            "the end of what did not begin",
            Say::Forever(frame(Kind::End, b"x"), frame(Kind::Request, b"")),
        ),
        ("empty data", Say::Forever(Vec::new(), frame(Kind::Data, b""))),
        ("data that is no JSON", Say::Forever(Vec::new(), frame(Kind::Data, b"\0\xff[[[\n"))),
        (
            "entries without end",
            Say::Forever(Vec::new(), frame(Kind::Data, &[&entry(1)[..], b"\n"].concat())),
        ),
        ("entries, one a second", Say::Slowly(Vec::new(), frame(Kind::Data, b"\n"))),
        ("empty output", Say::Forever(Vec::new(), frame(Kind::Stdout, b""))),
    ];
    for kind in [0u8, 8, 127, 255] {
        falsehoods.push(("an unknown kind", Say::Forever(header(kind, 5), vec![1])));
    }
    falsehoods
}

async fn fails(world: &World, guest: &Guest, question: Question, name: &str) -> Duration {
    let work = question.ask(guest.clone());
    let Outcome { said, took, peak_bytes } = world.outlast_session(work).await;
    let error = match said {
        Err(error) => error,
        Ok(()) => panic!("{name}, asked {question:?}: was taken for an answer"),
    };
    let text = pando_types::PublicError::from(&error).message;
    assert!(text.len() <= MAX_MESSAGE_BYTES, "{name}: an error of {} bytes", text.len());
    assert!(!text.contains(char::is_control), "{name}: {text:?}");
    assert!(took <= question.answer_within(), "{name}, asked {question:?}: {took:?}");
    let most = question.memory_bytes();
    assert!(peak_bytes <= most, "{name}, asked {question:?}: {peak_bytes} bytes");
    took
}

#[test]
fn no_falsehood_is_an_answer_to_anything() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        for (name, say) in falsehoods() {
            for question in QUESTIONS {
                // An end without values is an empty list's.
                if let (true, Say::Forever(first, _)) = (question.is_a_list(), &say)
                    && first.first() == Some(&(Kind::End as u8))
                {
                    continue;
                }
                world.agents.says(id, say.clone());
                fails(world, &guest, question, name).await;
            }
        }
    });
}

#[test]
fn an_agent_that_says_nothing_holds_nobody_for_long() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        world.agents.says(id, Say::nothing());
        for question in QUESTIONS {
            let took = fails(world, &guest, question, "silence").await;
            assert!(took <= question.silence_within(), "asked {question:?}: {took:?}");
        }
    });
}

#[test]
fn work_that_goes_on_is_waited_for() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        // One of five bytes in five seconds, for three minutes.
        let beats = frame(Kind::Data, b"").repeat(36);
        let done = frame(Kind::Reply, b"{}");
        world.agents.says(id, Say::Slowly(Vec::new(), [beats, done].concat()));
        let work = Question::Remove.ask(guest.clone());
        let outcome = world.outlast_session(work).await;
        assert!(outcome.said.is_ok(), "{:?}", outcome.said);
        assert!(outcome.took > Duration::from_secs(150), "{:?}", outcome.took);
        // It goes on for ever: too often, or too long.
        let endless = frame(Kind::Data, b"");
        for say in [Say::Forever(Vec::new(), endless.clone()), Say::Slowly(Vec::new(), endless)] {
            world.agents.says(id, say);
            fails(world, &guest, Question::Remove, "beats without end").await;
        }
    });
}

#[test]
fn an_agent_that_accepts_and_never_reads_holds_nobody() {
    World::run(async |world| {
        let (_, guest) = world.sandbox().await;
        for question in QUESTIONS {
            world.agents.ignore_next();
            fails(world, &guest, question, "deaf").await;
        }
        // A request that is longer than the guest's kernel takes on its behalf.
        world.agents.ignore_next();
        let mut long = exec("true");
        long.argv.push("x".repeat(200_000));
        let asked = guest.clone();
        let work = async move { run(&asked, long, ExecInput::Empty, 100).await.map(drop) };
        let outcome = world.outlast_session(work).await;
        assert!(outcome.said.is_err());
        assert!(outcome.took <= Question::Exec.answer_within(), "{:?}", outcome.took);
    });
}

#[test]
fn a_file_that_breaks_off_is_an_error_and_one_that_grows_is_a_file() {
    World::run(async |world| {
        let (id, guest) = world.sandbox().await;
        let announced = frame(Kind::Reply, &entry(3));
        let data = frame(Kind::Data, &[7; 1000]);
        let breaks = [
            ("nothing more", Say::Once(announced.clone())),
            ("the end of the connection", Say::ThenClose([&announced[..], &data[..]].concat())),
            ("half a frame", Say::Once([&announced[..], &data[..500]].concat())),
            ("empty data", Say::Forever(announced.clone(), frame(Kind::Data, b""))),
            ("slow data", Say::Slowly(announced.clone(), frame(Kind::Data, &[7; 1000]))),
            ("output", Say::Once([&announced[..], &frame(Kind::Stdout, b"x")].concat())),
            ("4 GB", Say::Once([&announced[..], &header(4, u32::MAX)].concat())),
            ("a second entry", Say::Once([&announced[..], &announced[..]].concat())),
        ];
        for (name, say) in breaks {
            world.agents.says(id, say);
            fails(world, &guest, Question::ReadFile, name).await;
        }
        // What was announced is not believed either way.
        let long = [&announced[..], &data.repeat(1000), &frame(Kind::End, b"")].concat();
        let huge = [&frame(Kind::Reply, &entry(u64::MAX))[..], &frame(Kind::End, b"")].concat();
        for (say, length) in [(long, 1_000_000), (huge, 0)] {
            world.agents.says(id, Say::Once(say));
            let (_, mut bytes) = guest.read_file("/f").await.unwrap();
            let mut read = 0;
            while let Some(bytes) = bytes.next().await {
                read += bytes.unwrap().len();
            }
            assert_eq!(read, length);
        }
    });
}
