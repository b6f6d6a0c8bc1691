//! The first step: the exact commit into the mirror, and its tree into a fresh
//! sandbox. Both begin at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use pando_node::guest::ExecEvent;
use pando_store::AppKind;
use pando_types::limits::DEFAULT_PREVIEW_IDLE;
use pando_types::{Code, PublicError, SandboxId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::run::{Halt, Run};
use crate::detect::{self, Plan};
use crate::error::git_message;
use crate::git::{GitError, Mirror, Wanted};
use crate::machine::{MachineSpec, Machines, broken_off, exec, input};

/// How long a host without room is asked again.
const ROOM_LIMIT: Duration = Duration::from_secs(120);
/// The pause between, where the host names none.
const ROOM_PAUSE: Duration = Duration::from_secs(5);
/// How long the tree may take into the sandbox.
const TREE_LIMIT: Duration = Duration::from_secs(300);
/// `/app` is made by whoever comes first; files belong to root, not to numbers from the archive.
const UNPACK: &str = "mkdir -p /app && exec tar -x -C /app --no-same-owner";

impl Run {
    pub(super) async fn fetch(&mut self) -> Result<Mirror, Halt> {
        let context = Arc::clone(&self.context);
        let url = context.mirrors.parse(&self.app.git_url).map_err(refused)?;
        self.begin_create();
        self.say(format!(
            "Fetching {} at {}.",
            url,
            wanted_text(&self.row.git_ref, &self.row.commit)
        ))
        .await;
        let wanted = Wanted::of(&self.row.git_ref, &self.row.commit);
        let mirror = context.mirrors.fetch(&url, &wanted).await.map_err(refused)?;
        if self.row.commit != mirror.commit {
            let mut next = self.row.clone();
            next.commit.clone_from(&mirror.commit);
            self.save(next).await?;
        }
        self.say(format!("Commit {}.", mirror.commit)).await;
        self.created().await?;
        self.unpack(&mirror).await?;
        Ok(mirror)
    }

    fn begin_create(&mut self) {
        let spec = MachineSpec {
            org: self.row.org,
            app: self.row.app,
            deployment: self.row.id,
            template: self.app.template.clone(),
            cpu: self.app.cpu,
            memory_mib: self.app.memory_mib,
            // An app is there for all; a preview is looked at now and then.
            idle_timeout: matches!(self.app.kind, AppKind::Preview(_))
                .then_some(DEFAULT_PREVIEW_IDLE),
        };
        let machines = Arc::clone(&self.context.machines);
        let shutdown = self.context.shutdown.clone();
        self.creating = Some(tokio::spawn(async move {
            tokio::select! {
                made = create(&*machines, spec) => made,
                // Rows and node settle at the next start.
                () = shutdown.cancelled() => Err(PublicError::new(Code::Unavailable, "the server stops")),
            }
        }));
    }

    /// Waits for the sandbox, and writes its id down.
    async fn created(&mut self) -> Result<(), Halt> {
        let Some(creating) = self.creating.as_mut() else {
            return Err(Halt::Ended);
        };
        let made = creating.await.unwrap_or_else(|_| Err(PublicError::internal()));
        self.creating = None;
        let sandbox =
            made.map_err(|error| Halt::Failed(format!("no sandbox could be made: {error}")))?;
        let mut next = self.row.clone();
        next.sandbox = Some(sandbox);
        self.save(next).await?;
        self.say(format!("Sandbox {} answers.", sandbox.short())).await;
        Ok(())
    }

    async fn unpack(&self, mirror: &Mirror) -> Result<(), Halt> {
        let sandbox = self.row.sandbox.ok_or(Halt::Ended)?;
        let machine = self.context.machines.open(self.row.org, sandbox).await;
        let machine =
            machine.map_err(|error| Halt::Failed(format!("the sandbox is gone: {error}")))?;
        let mut command = exec(&["/bin/sh", "-c", UNPACK]);
        command.timeout_ms = u64::try_from(TREE_LIMIT.as_millis()).ok();
        // What breaks the tree off is said here: the sandbox only sees an early end.
        let (tell, mut broken) = oneshot::channel();
        let mut tell = Some(tell);
        let tree = mirror.tree().map_err(refused)?.map(move |bytes| {
            bytes.map_err(|error| {
                let told = std::io::Error::other(error.to_string());
                if let Some(tell) = tell.take() {
                    let _ = tell.send(error);
                }
                told
            })
        });
        let failed = |error: &dyn std::fmt::Display| {
            Halt::Failed(format!("the tree could not be unpacked in the sandbox: {error}"))
        };
        let mut output =
            machine.run(command, input(tree.boxed())).await.map_err(|error| failed(&error))?;
        let mut said = Vec::new();
        loop {
            let event = tokio::select! {
                biased;
                Ok(error) = &mut broken => return Err(refused(error)),
                event = output.next() => event.unwrap_or_else(|| Err(broken_off())),
            };
            match event.map_err(|error| failed(&error))? {
                ExecEvent::Stdout(bytes) | ExecEvent::Stderr(bytes) if said.len() < 2000 => {
                    said.extend_from_slice(&bytes[..bytes.len().min(2000)]);
                }
                ExecEvent::Stdout(_) | ExecEvent::Stderr(_) => {}
                ExecEvent::Exit(done) if done.exit_code == 0 => return Ok(()),
                ExecEvent::Exit(done) if done.timed_out => {
                    return Err(failed(&format!("it took longer than {} s", TREE_LIMIT.as_secs())));
                }
                ExecEvent::Exit(_) => return Err(failed(&String::from_utf8_lossy(&said).trim())),
            }
        }
    }

    /// What kind of app it is, and why.
    pub(super) async fn detect(&mut self, mirror: &Mirror) -> Result<Plan, Halt> {
        let sources = detect::read(mirror, &self.app.root_directory).await.map_err(refused)?;
        let host = self.context.urls.host(&self.app.label);
        let settings = crate::app::settings::of(&self.app, host);
        let plan =
            detect::detect(&settings, &sources).map_err(|error| Halt::Failed(error.to_string()))?;
        for reason in &plan.reasons {
            self.say(reason).await;
        }
        for warning in &plan.warnings {
            self.say(format!("Warning: {warning}")).await;
        }
        if mirror.list("").await.is_ok_and(|names| names.contains(".gitmodules")) {
            self.say("Note: submodules are not fetched; their folders are empty.").await;
        }
        let mut next = self.row.clone();
        next.plan = serde_json::to_string(&plan).ok();
        self.save(next).await?;
        Ok(plan)
    }
}

/// Asks again while the host has no room: others may end.
async fn create(machines: &dyn Machines, spec: MachineSpec) -> Result<SandboxId, PublicError> {
    let begun = Instant::now();
    loop {
        match machines.create(spec.clone()).await {
            Err(error) if error.code == Code::Unavailable && begun.elapsed() < ROOM_LIMIT => {
                let named = error.retry_after_secs.map(|secs| Duration::from_secs(secs.into()));
                tokio::time::sleep(named.unwrap_or(ROOM_PAUSE).min(ROOM_LIMIT / 4)).await;
            }
            other => return other,
        }
    }
}

fn wanted_text(git_ref: &str, commit: &str) -> String {
    match commit {
        "" => git_ref.to_owned(),
        commit if git_ref == commit => commit.to_owned(),
        commit => format!("{git_ref}, commit {commit}"),
    }
}

fn refused(error: GitError) -> Halt {
    if matches!(error, GitError::Start { .. } | GitError::Folder(_) | GitError::Unreadable(_)) {
        tracing::error!(error = &error as &dyn std::error::Error, "git failed");
    }
    Halt::Failed(git_message(&error))
}
