//! After a switch of protocols: bytes, both ways, until each side has said its end.

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;

use crate::end::End;
use crate::limits::TUNNEL_HALF_CLOSED;

/// Waits until both sides have switched, then copies until both directions have
/// ended, one breaks, or `end` comes.
pub(crate) async fn run(client: OnUpgrade, app: OnUpgrade, end: &End) {
    let both = async {
        match tokio::try_join!(client, app) {
            Ok((client, app)) => copy(client, app).await,
            Err(error) => tracing::debug!(%error, "a switch of protocols was not completed"),
        }
    };
    end.or(both).await;
}

async fn copy(client: Upgraded, app: Upgraded) {
    let (client_reads, client_writes) = tokio::io::split(TokioIo::new(client));
    let (app_reads, app_writes) = tokio::io::split(TokioIo::new(app));
    let up = one_way(client_reads, app_writes);
    let down = one_way(app_reads, client_writes);
    tokio::pin!(up, down);
    // An end in one direction leaves the other its time; a break ends both.
    tokio::select! {
        ended = &mut up => if ended.is_ok() { drop(timeout(TUNNEL_HALF_CLOSED, down).await) },
        ended = &mut down => if ended.is_ok() { drop(timeout(TUNNEL_HALF_CLOSED, up).await) },
    }
}

type Io = TokioIo<Upgraded>;

async fn one_way(mut from: ReadHalf<Io>, mut to: WriteHalf<Io>) -> std::io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}
