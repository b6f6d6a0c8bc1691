//! What happened to a sandbox, for its owner.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pando_store::EventRow;
use pando_types::sandbox::SandboxEvent;
use pando_types::{OrgId, PublicError, SandboxId};

use super::sandboxes::{Sandboxes, failed};

impl Sandboxes {
    /// The newest events of a sandbox, at most `tail` and only those after the
    /// number `after`; oldest first. Also of one that is gone, for some days.
    ///
    /// # Errors
    /// [`pando_types::Code::NotFound`] for one that never was, or is another org's.
    pub async fn events(
        &self,
        org: OrgId,
        id: SandboxId,
        after: u64,
        tail: u32,
    ) -> Result<Vec<SandboxEvent>, PublicError> {
        self.tombstone(org, id).await?;
        let rows = self.journal.list(id, after, tail).await.map_err(|error| failed(&error))?;
        Ok(rows.into_iter().map(event).collect())
    }

    /// The same, then each event as it comes; ends with the sandbox.
    ///
    /// # Errors
    /// As [`Sandboxes::events`]; the stream ends in an error when the rows cannot be read.
    pub async fn follow_events(
        &self,
        org: OrgId,
        id: SandboxId,
        after: u64,
        tail: u32,
    ) -> Result<BoxStream<'static, Result<SandboxEvent, PublicError>>, PublicError> {
        self.tombstone(org, id).await?;
        Ok(self.journal.follow(id, after, tail).map(|row| row.map(event)).boxed())
    }
}

fn event(row: EventRow) -> SandboxEvent {
    SandboxEvent { seq: row.seq, at: row.at.to_rfc3339(), kind: row.kind, detail: row.detail }
}
