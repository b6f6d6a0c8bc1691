//! What the guest's agent reads: a session's request, and a line of its control line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pando_fuzz::block_on;
use pando_guest_protocol::control::ToGuest;
use pando_guest_protocol::frame;
use pando_guest_protocol::session::Request;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(told) = serde_json::from_slice::<ToGuest>(bytes) {
        let again = serde_json::to_vec(&told).unwrap();
        assert_eq!(serde_json::from_slice::<ToGuest>(&again).unwrap(), told);
    }
    let request = block_on(async {
        let frame = frame::expect(&mut &bytes[..]).await.ok()?;
        frame.json::<Request>().ok()
    });
    if let Some(request) = request {
        let again = serde_json::to_vec(&request).unwrap();
        assert_eq!(serde_json::from_slice::<Request>(&again).unwrap(), request);
    }
});
