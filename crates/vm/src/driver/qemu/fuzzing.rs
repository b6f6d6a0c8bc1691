//! What a fuzzer reaches beside the public face; compiled for it alone (`fuzz/`).

use serde_json::json;
use tokio::net::UnixStream;

use super::qmp::Qmp;
use crate::driver::{MachineName, VmError};

/// Greets a VMM and gives it one command.
///
/// # Errors
/// When it says something else than its protocol.
pub async fn ask(stream: UnixStream) -> Result<(), VmError> {
    Qmp::handshake(stream).await?.execute("stop", json!({})).await.map(drop)
}

/// Reads a machine's name from an argument; what is read says the same again.
///
/// # Panics
/// When it does not.
pub fn name(argument: &str) {
    if let Some(name) = MachineName::from_argument(argument) {
        assert_eq!(name.to_argument(), argument);
    }
}
