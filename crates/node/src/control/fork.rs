//! Copies of a sandbox that go on from one of its moments, and which of them stays.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use pando_store::{Actual, Desired, MadeOf, SandboxRow};
use pando_types::limits::{DEFAULT_TTL, MAX_FORKS};
use pando_types::page::{Cursor, PageRequest};
use pando_types::sandbox::{Sandbox, SetLifecycle};
use pando_types::snapshot::{
    Children, EXPLORE_TTL_KEY, Fork, ForkTree, Promote, Promoted, TREE_KEY,
};
use pando_types::{Code, Epoch, Generation, OrgId, PublicError, SandboxId, TreeId};
use pando_vm::sys::fault::{self, Fault};

use super::sandboxes::{Sandboxes, failed};
use super::{spec, volumes};
use crate::node::{Child, Forked, NodeError};

/// How many siblings are removed at once.
const REMOVED_AT_ONCE: usize = 4;

impl Sandboxes {
    /// Makes a sandbox, under an id that was chosen before, that goes on from this moment
    /// of another; returns when it answers.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::InvalidRequest`], [`Code::OverQuota`]; what the host
    /// stands against. There is no child then.
    pub async fn fork(
        &self,
        child: SandboxId,
        org: OrgId,
        parent: SandboxId,
        request: Fork,
    ) -> Result<Sandbox, PublicError> {
        let parent = self.row(org, parent).await?;
        let row = self.child(child, &parent, request.metadata)?;
        let (mut children, _) = self.make_children(parent, vec![row]).await?;
        children.pop().ok_or_else(PublicError::internal)
    }

    /// Makes several children of one moment, all or none.
    ///
    /// # Errors
    /// As [`Sandboxes::fork`].
    pub async fn fork_tree(
        &self,
        tree: TreeId,
        org: OrgId,
        parent: SandboxId,
        request: ForkTree,
    ) -> Result<Children, PublicError> {
        let count = request.count.and_then(|count| usize::try_from(count).ok());
        let Some(count @ 1..=MAX_FORKS) = count else {
            let message = format!("`count` must be from 1 to {MAX_FORKS}");
            return Err(PublicError::invalid("count", message));
        };
        let parent = self.row(org, parent).await?;
        let mut metadata = request.metadata.unwrap_or_else(|| parent.metadata.clone());
        // Never what the client says: siblings are found by it.
        metadata.insert(TREE_KEY.to_owned(), tree.to_string());
        let rows = (0..count)
            .map(|_| self.child(SandboxId::new(), &parent, Some(metadata.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        let (children, pause) = self.make_children(parent, rows).await?;
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        Ok(Children { tree_id: tree.to_string(), children, pause_ms })
    }

    /// What became of a fork-tree whose end nobody heard: its children, if there are any.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub async fn tree_made(
        &self,
        org: OrgId,
        tree: TreeId,
    ) -> Result<Option<Children>, PublicError> {
        let rows = self.tree(org, tree).await?;
        if rows.is_empty() || rows.iter().any(|row| row.actual == Actual::Creating) {
            return Ok(None);
        }
        let children = rows.iter().map(|row| self.view(row)).collect();
        Ok(Some(Children { tree_id: tree.to_string(), children, pause_ms: 0 }))
    }

    /// The row of a child: its parent's but for what is its own.
    fn child(
        &self,
        id: SandboxId,
        parent: &SandboxRow,
        metadata: Option<BTreeMap<String, String>>,
    ) -> Result<SandboxRow, PublicError> {
        let metadata = metadata.unwrap_or_else(|| parent.metadata.clone());
        spec::metadata(&metadata)?;
        let explored = metadata.get(EXPLORE_TTL_KEY).map(|text| spec::explore_ttl(text));
        let (ttl, persistent) = match explored.transpose()? {
            Some(ttl) => (Some(ttl), false),
            None => (parent.ttl, parent.persistent),
        };
        let now = self.clock.now();
        Ok(SandboxRow {
            id,
            org: parent.org,
            // The parent's app is served by the parent.
            app: None,
            template: parent.template.clone(),
            cpu: parent.cpu,
            memory_mib: parent.memory_mib,
            metadata,
            created: now,
            ttl,
            deadline: ttl.map(|ttl| now.plus(ttl)),
            persistent,
            idle_timeout: parent.idle_timeout,
            owner_node: self.node_id,
            epoch: Epoch::first(),
            desired: Desired::Running,
            desired_gen: Generation::first(),
            actual: Actual::Creating,
            actual_gen: Generation::first(),
            reason: None,
            boot_ms: 0,
            made_of: MadeOf::Fork(parent.id),
            volumes: volumes::copies(&parent.volumes),
        })
    }

    async fn make_children(
        &self,
        parent: SandboxRow,
        rows: Vec<SandboxRow>,
    ) -> Result<(Vec<Sandbox>, Duration), PublicError> {
        self.admit(&rows).await?;
        fault::point(Fault::ForkRowed);
        // In a task of its own: a client that goes away cannot cut it midway.
        let this = self.clone();
        let made = tokio::spawn(async move { this.fork_all(&parent, &rows).await }).await;
        made.unwrap_or_else(|_| Err(PublicError::internal()))
    }

    async fn fork_all(
        &self,
        parent: &SandboxRow,
        rows: &[SandboxRow],
    ) -> Result<(Vec<Sandbox>, Duration), PublicError> {
        let children = rows.iter().map(|row| Child {
            id: row.id,
            epoch: row.epoch,
            org: row.org,
            deadline: row.deadline,
            persistent: row.persistent,
            idle_timeout: row.idle_timeout,
            egress_deny: Vec::new(),
        });
        let forked = self.node.fork(parent.id, parent.epoch, children.collect()).await;
        let refused = match forked {
            Ok(Forked { pause, children }) => {
                match children.into_iter().collect::<Result<Vec<_>, _>>() {
                    Ok(_) => {
                        let mut made = Vec::with_capacity(rows.len());
                        for row in rows {
                            made.push(self.observed(row.org, row.id).await?);
                        }
                        return Ok((made, pause));
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        Err(self.unmake(rows, &refused).await?)
    }

    /// Removes all children of which one could not be made.
    async fn unmake(
        &self,
        rows: &[SandboxRow],
        error: &NodeError,
    ) -> Result<PublicError, PublicError> {
        tracing::warn!(error = crate::chain(error), "not forked");
        let refusal = PublicError::from(error);
        for row in rows {
            let gone = self.node.delete(row.id, row.epoch).await;
            gone.map_err(|error| PublicError::from(&error))?;
            self.bury(row, Some(format!("it could not be made: {refusal}"))).await?;
        }
        Ok(refusal)
    }

    /// Lets one child of a tree stay; its siblings go where that is asked for.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::InvalidRequest`] when the tree is not the child's;
    /// [`Code::Conflict`] for a sandbox of no tree.
    pub async fn promote(
        &self,
        org: OrgId,
        winner: SandboxId,
        request: Promote,
    ) -> Result<Promoted, PublicError> {
        let row = self.row(org, winner).await?;
        let Some(tree) = row.metadata.get(TREE_KEY).and_then(|tree| tree.parse::<TreeId>().ok())
        else {
            let message = "the sandbox is no child of a fork-tree";
            return Err(PublicError::new(Code::Conflict, message));
        };
        if request.tree_id.is_some_and(|asked| asked != tree.to_string()) {
            let message = "`tree_id` is not the tree of this sandbox";
            return Err(PublicError::invalid("tree_id", message));
        }
        self.keep(&row).await?;
        let mut promoted = Promoted {
            winner,
            tree_id: tree.to_string(),
            deleted: Vec::new(),
            failures: BTreeMap::new(),
        };
        if !request.cleanup_siblings {
            return Ok(promoted);
        }
        let siblings = self.tree(org, tree).await?.into_iter().filter(|row| row.id != winner);
        let removed = stream::iter(siblings)
            .map(|row| async move { (row.id, self.delete(org, row.id).await) })
            .buffer_unordered(REMOVED_AT_ONCE)
            .collect::<Vec<_>>();
        for (id, outcome) in removed.await {
            match outcome {
                Ok(()) => promoted.deleted.push(id),
                Err(error) => {
                    promoted.failures.insert(id.to_string(), error.to_string());
                }
            }
        }
        promoted.deleted.sort_unstable();
        Ok(promoted)
    }

    /// A candidate that was to be gone soon lives as its parent was to, from now on.
    async fn keep(&self, row: &SandboxRow) -> Result<(), PublicError> {
        let (MadeOf::Fork(parent), true) =
            (row.made_of, row.metadata.contains_key(EXPLORE_TTL_KEY))
        else {
            return Ok(());
        };
        let parent = self.store.sandbox_get(parent).await.map_err(|error| failed(&error))?;
        let persistent = parent.as_ref().is_some_and(|parent| parent.persistent);
        let ttl = parent.map_or(Some(DEFAULT_TTL), |parent| parent.ttl);
        let ttl_seconds = ttl.and_then(|ttl| i64::try_from(ttl.as_secs()).ok());
        let life =
            SetLifecycle { ttl_seconds, persistent: Some(persistent), ..SetLifecycle::default() };
        self.set_lifecycle(row.org, row.id, life).await.map(drop)
    }

    /// The children of a tree that are not gone.
    async fn tree(&self, org: OrgId, tree: TreeId) -> Result<Vec<SandboxRow>, PublicError> {
        let pair = BTreeMap::from([(TREE_KEY.to_owned(), tree.to_string())]);
        let (mut found, mut page) = (Vec::new(), PageRequest::<SandboxId>::default());
        loop {
            let rows = self.store.sandbox_list(org, &pair, page.after, page.limit).await;
            let rows = rows.map_err(|error| failed(&error))?;
            let Some(last) = rows.last() else { return Ok(found) };
            page.after = Some(Cursor { created: last.created, id: last.id });
            found.extend(rows);
        }
    }
}
