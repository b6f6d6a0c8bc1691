//! Work that may take a while.

use std::pin::pin;
use std::time::Duration;

use pando_guest_protocol::frame::{self, Kind};
use pando_guest_protocol::session::BEAT_SECS;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, interval_at};

use super::failure::Stop;

/// Does it, and says now and then that it goes on, so that the host can tell it from
/// an agent that is dead.
pub async fn attended<W: AsyncWrite + Unpin, T, E: Into<Stop>>(
    writer: &mut W,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Stop> {
    let mut work = pin!(work);
    let beat = Duration::from_secs(BEAT_SECS);
    let mut beats = interval_at(Instant::now() + beat, beat);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done.map_err(Into::into),
            _ = beats.tick() => frame::write(writer, Kind::Data, &[]).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::session::Failure;
    use std::future::pending;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn it_is_heard_of_until_it_is_done() {
        let (mut agent, mut host) = tokio::io::duplex(1024);
        let (finish, finished) = oneshot::channel();
        let work = async { Ok::<_, Failure>(finished.await.unwrap()) };
        let watch = async {
            for _ in 0..2 {
                let beat = frame::expect(&mut host).await.unwrap();
                assert_eq!((beat.kind, beat.payload.len()), (Kind::Data, 0));
            }
            finish.send(7).unwrap();
        };
        let (done, ()) = tokio::join!(attended(&mut agent, work), watch);
        assert_eq!(done.unwrap(), 7);
    }

    #[tokio::test]
    async fn it_is_given_up_when_nobody_hears() {
        let (mut agent, host) = tokio::io::duplex(1024);
        drop(host);
        let given_up = attended(&mut agent, pending::<Result<(), Failure>>()).await;
        assert!(matches!(given_up, Err(Stop::Broken)));
    }
}
