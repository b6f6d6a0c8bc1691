//! The guest agent asked directly: what an exec costs without Pando around it.

use std::time::Duration;

use anyhow::{Context, bail};
use pando_guest_protocol::SESSION_PORT;
use pando_guest_protocol::frame::{self, Kind};
use pando_guest_protocol::session::{Exec, Operation, PROTOCOL, Request};
use pando_vm::network::Slot;

/// The token that the bench's own guests are given.
pub(crate) const TOKEN: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Runs `true` by the shell, as the API does.
pub(crate) async fn exec_true(slot: &Slot) -> anyhow::Result<()> {
    let mut stream = slot.connect(SESSION_PORT, CONNECT_LIMIT).await?;
    stream.set_nodelay(true)?;
    let operation = Operation::Exec(Exec {
        argv: ["/bin/sh", "-c", "true"].map(str::to_owned).into(),
        cwd: None,
        env: Default::default(),
        user: None,
        timeout_ms: Some(30_000),
        detached_log: None,
        log_name: None,
        root: None,
    });
    let request = Request { protocol: PROTOCOL, token: TOKEN.to_owned(), operation };
    frame::write_json(&mut stream, Kind::Request, &request).await?;
    frame::write(&mut stream, Kind::End, &[]).await?;
    loop {
        let frame = frame::expect(&mut stream).await.context("the agent broke off")?;
        match frame.kind {
            Kind::Reply => return Ok(()),
            Kind::Stdout | Kind::Stderr => {}
            other => bail!("the agent answered {other:?}"),
        }
    }
}
