//! What the command is told: input as fast as it takes it, and interrupts.

use tokio::sync::{mpsc, watch};

use super::wire;
use crate::client::{ClientError, Speak};
use crate::commands::sandbox::stdin::Stdin;

/// Inputs that the sandbox has not taken yet: half of what the server lets wait, so that
/// an interrupt finds room.
const UNTAKEN: u64 = 16;

/// Tells it all, until the connection breaks; whoever listens learns why.
pub async fn all(
    mut speak: Speak,
    mut stdin: Option<Stdin>,
    mut interrupts: mpsc::Receiver<()>,
    mut taken: watch::Receiver<u64>,
) -> Result<(), ClientError> {
    if stdin.is_none() {
        speak.json(&wire::end_of_input()).await?;
    }
    let mut sent = 0_u64;
    loop {
        let has_room = sent.saturating_sub(*taken.borrow_and_update()) < UNTAKEN;
        tokio::select! {
            biased;
            Some(()) = interrupts.recv() => speak.json(&wire::interrupt()).await?,
            piece = next(&mut stdin), if has_room => match piece {
                Some(bytes) => {
                    speak.bytes(wire::input(&bytes)).await?;
                    sent += 1;
                }
                None => {
                    stdin = None;
                    speak.json(&wire::end_of_input()).await?;
                }
            },
            Ok(()) = taken.changed() => {}
            else => return Ok(()),
        }
    }
}

/// The next piece; where there is no more to come, none ever.
async fn next(stdin: &mut Option<Stdin>) -> Option<Vec<u8>> {
    match stdin {
        Some(stdin) => stdin.next().await,
        None => std::future::pending().await,
    }
}
