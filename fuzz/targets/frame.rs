//! Frames of a session, as the host reads them, and the JSON of every answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pando_fuzz::block_on;
use pando_guest_protocol::frame::{self, Frame, MAX_PAYLOAD_BYTES};
use pando_guest_protocol::session::{Done, Entry, ExecDone, Failure, Listeners, Started, Written};
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|bytes: &[u8]| {
    block_on(async {
        let mut rest = bytes;
        loop {
            let before = rest;
            let Ok(Some(frame)) = frame::read(&mut rest).await else { break };
            assert!(frame.payload.len() <= MAX_PAYLOAD_BYTES);
            let mut again = Vec::new();
            frame::write(&mut again, frame.kind, &frame.payload).await.unwrap();
            assert_eq!(again, before[..before.len() - rest.len()], "read as what was not said");
            answers(&frame);
        }
    });
});

fn answers(frame: &Frame) {
    same::<Done>(frame);
    same::<Entry>(frame);
    same::<ExecDone>(frame);
    same::<Failure>(frame);
    same::<Listeners>(frame);
    same::<Started>(frame);
    same::<Written>(frame);
}

/// What was understood means the same when it is said again.
fn same<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(frame: &Frame) {
    if let Ok(understood) = frame.json::<T>() {
        let again = serde_json::to_vec(&understood).unwrap();
        assert_eq!(serde_json::from_slice::<T>(&again).unwrap(), understood);
    }
}
