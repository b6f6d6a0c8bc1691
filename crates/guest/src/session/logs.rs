//! Sending the lines that commands have said.

use std::sync::Arc;

use pando_guest_protocol::frame::{self, Kind};
use pando_guest_protocol::log::LogQuery;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::failure::Stop;
use super::json_lines::JsonLines;
use crate::logs::Logs;

/// Sends those that are kept; where it follows, goes on until the host leaves.
pub async fn run(stream: &mut TcpStream, query: LogQuery, logs: &Arc<Logs>) -> Result<(), Stop> {
    let follow = query.follow;
    let mut lines = logs.reader(query);
    loop {
        let taken = lines.take();
        if !taken.is_empty() {
            let mut out = JsonLines::new(stream);
            for line in &taken {
                out.push(line).await?;
            }
            out.flush().await?;
        } else if follow {
            tokio::select! {
                () = lines.more() => {}
                // The host has nothing more to say: whatever it does, it is done.
                _ = stream.read_u8() => return Ok(()),
            }
        } else {
            return Ok(frame::write(stream, Kind::End, &[]).await?);
        }
    }
}
