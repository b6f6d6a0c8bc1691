//! The hypervisor: null machines, some of whose guests say on their control line
//! what a test wants, at a restore and when a restarted server adopts them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pando_guest_protocol::control::ToGuest;
use pando_types::SandboxId;
use pando_vm::driver::null::Null;
use pando_vm::driver::{
    Accelerator, BootSpec, FoundMachine, Home, Hypervisor, RestoreSpec, Started, VmError,
};
use tokio::net::UnixStream;

use super::say::Say;

/// What a guest does with its control line.
#[derive(Debug, Clone)]
pub(super) enum Line {
    /// Says this.
    Says(Say),
    /// There is no line to be had.
    Refused,
}

/// The driver; clones share its machines.
#[derive(Clone, Default)]
pub(super) struct Machines {
    null: Null,
    restored: Lines,
    adopted: Lines,
    /// The token that each guest was told at its restore.
    tokens: Arc<Mutex<HashMap<String, SandboxId>>>,
    lines_over: Arc<AtomicU64>,
}

type Lines = Arc<Mutex<HashMap<String, Line>>>;

impl Machines {
    /// Lets a sandbox's guest say this when it is restored.
    pub(super) fn restored(&self, id: SandboxId, say: &Say) {
        self.restored.lock().unwrap().insert(id.to_string(), Line::Says(say.clone()));
    }

    /// Lets a sandbox's guest do this when it is adopted.
    pub(super) fn adopted(&self, id: SandboxId, line: Line) {
        self.adopted.lock().unwrap().insert(id.to_string(), line);
    }

    /// The sandbox that was given this token.
    pub(super) fn of_token(&self, token: &str) -> Option<SandboxId> {
        self.tokens.lock().unwrap().get(token).copied()
    }

    /// How many hostile control lines are over, closed by either end.
    pub(super) fn lines_over(&self) -> u64 {
        self.lines_over.load(Ordering::SeqCst)
    }

    /// How many run.
    pub(super) fn count(&self) -> usize {
        self.null.count()
    }

    fn on_the_line(
        &self,
        lines: &Lines,
        machine: &str,
        friendly: Started,
    ) -> Result<Started, VmError> {
        match lines.lock().unwrap().get(machine).cloned() {
            None => Ok(friendly),
            Some(Line::Refused) => {
                let source = std::io::ErrorKind::ConnectionRefused.into();
                Err(VmError::Io { what: "cannot reach the control line".into(), source })
            }
            Some(Line::Says(say)) => {
                let (host, guest) = UnixStream::pair().unwrap();
                let over = Arc::clone(&self.lines_over);
                tokio::spawn(async move {
                    say.over(guest).await;
                    over.fetch_add(1, Ordering::SeqCst);
                });
                Ok(Started { control: host, ..friendly })
            }
        }
    }
}

#[async_trait]
impl Hypervisor for Machines {
    fn identity(&self) -> String {
        self.null.identity()
    }

    fn accelerator(&self) -> Accelerator {
        self.null.accelerator()
    }

    async fn boot(&self, spec: BootSpec) -> Result<Started, VmError> {
        self.null.boot(spec).await
    }

    async fn restore(&self, spec: RestoreSpec) -> Result<Started, VmError> {
        let machine = spec.home.name.machine.clone();
        if let Ok(ToGuest::Restored(identity)) = serde_json::from_slice(&spec.first_words) {
            self.tokens.lock().unwrap().insert(identity.token, machine.parse().unwrap());
        }
        let friendly = self.null.restore(spec).await?;
        self.on_the_line(&self.restored, &machine, friendly)
    }

    async fn find(&self, owner: &str) -> Result<Vec<FoundMachine>, VmError> {
        self.null.find(owner).await
    }

    async fn adopt(&self, home: Home, pid: u32) -> Result<Started, VmError> {
        let machine = home.name.machine.clone();
        let friendly = self.null.adopt(home, pid).await?;
        self.on_the_line(&self.adopted, &machine, friendly)
    }

    async fn kill(&self, owner: &str, found: &FoundMachine) -> Result<(), VmError> {
        self.null.kill(owner, found).await
    }
}
