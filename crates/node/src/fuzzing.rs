//! What a fuzzer reaches beside the public face; compiled for it alone (`fuzz/`).

use std::time::Duration;

use pando_guest_protocol::control::ToHost;
use tokio::net::UnixStream;

use crate::sandbox::control_line::ControlLine;
use crate::sandbox::manifest::Manifest;

/// Waits for a guest's `ready`; the error is the text that a person would read.
///
/// # Errors
/// When something else is said.
pub async fn wait_for_ready(stream: UnixStream) -> Result<(), String> {
    let mut line = ControlLine::new(stream);
    let ready =
        line.wait(Duration::from_secs(60), |said| matches!(said, ToHost::Ready { .. })).await;
    ready.map(drop).map_err(|error| crate::chain(&error))
}

/// Reads a manifest; what is understood is understood the same when written again.
///
/// # Panics
/// When it is not.
pub fn manifest(bytes: &[u8]) {
    if let Some(manifest) = Manifest::parse(bytes) {
        let again = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        assert_eq!(Manifest::parse(&again).as_ref(), Some(&manifest));
    }
}
