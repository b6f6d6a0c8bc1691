//! The one task that starts, watches and stops a process.
//!
//! ```text
//!               ┌──────────── its time has come ────────────┐
//!               ▼                                           │
//!           starting ──► running ──── ends by itself ────► waiting
//!               ▲           │                               │
//!               │     another is wanted, or none      the same, at once
//!               │           ▼                               │
//!               └────── stopping ◄ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─┘
//!        another is wanted  │
//!                           ▼ none is wanted
//!                          gone
//! ```
//!
//! A copy of the machine, and one that wakes, have the task as it was. Waiting counts the
//! machine's own time, which stands still while it sleeps; so whoever waits looks at the
//! wall clock, too, when it is told that the machine woke.

use std::sync::Arc;
use std::time::Duration;

use pando_guest_protocol::log::Output;
use pando_guest_protocol::supervise::{ProcessState, Watched};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::policy::Backoff;
use super::wanted::Spec;
use crate::logs::{self, Logs};
use crate::process::{self, SpawnError, Unfed};
use crate::sys::clock;

/// How long the last words of a process that ended are waited for: what it left running
/// elsewhere may hold its outputs for ever.
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(500);
/// How often it is looked whether a group has ended whose leader has: nothing tells.
const GROUP_INTERVAL: Duration = Duration::from_millis(50);
/// The exit code of what could not be started, as shells have it.
const NOT_STARTED: i32 = 127;

/// How a process is, and for which of its settings.
#[derive(Clone)]
pub struct Shown {
    /// What it was started as.
    pub spec: Arc<Spec>,
    /// How it is.
    pub watched: Watched,
}

/// What the task of one process works with.
pub struct Keeper {
    /// Its name.
    pub name: Arc<str>,
    /// Where what it says is kept.
    pub logs: Arc<Logs>,
    /// What is wanted of it; nothing when it is to end.
    pub wanted: watch::Receiver<Option<Arc<Spec>>>,
    /// Where it is told how it is.
    pub shown: watch::Sender<Shown>,
    /// Changes when the machine has woken.
    pub woken: watch::Receiver<u64>,
}

/// How a process ended by itself.
struct Ended {
    code: i32,
    ran: Duration,
}

impl Keeper {
    /// Keeps it as it is wanted, until it is not.
    pub async fn keep(&mut self) {
        loop {
            let Some(spec) = self.wanted.borrow_and_update().clone() else { return };
            let fresh = Watched {
                name: self.name.as_ref().to_owned(),
                state: ProcessState::Starting,
                restarts: 0,
                last_exit_code: None,
            };
            self.shown.send_replace(Shown { spec: Arc::clone(&spec), watched: fresh });
            self.keep_as(&spec).await;
        }
    }

    /// Starts it again and again, until something else is wanted.
    async fn keep_as(&mut self, spec: &Arc<Spec>) {
        let mut backoff = Backoff::default();
        loop {
            let Some(started) = self.start(spec).await else { return };
            let ended = match started {
                Ok(process) => match self.attend(process, spec).await {
                    Some(ended) => ended,
                    None => return,
                },
                Err(error) => {
                    self.logs.remark(&self.name, &format!("it did not start: {error}"));
                    Ended { code: NOT_STARTED, ran: Duration::ZERO }
                }
            };
            let delay = backoff.after(ended.ran);
            let (code, secs) = (ended.code, delay.as_secs());
            let remark = format!("it ended with exit code {code}, and starts again in {secs} s");
            self.logs.remark(&self.name, &remark);
            self.shown.send_modify(|shown| shown.watched.last_exit_code = Some(code));
            if !self.wait(delay, spec).await {
                return;
            }
            self.shown.send_modify(|shown| {
                shown.watched.state = ProcessState::Starting;
                shown.watched.restarts += 1;
            });
        }
    }

    /// `None` when something else is wanted before it may start.
    async fn start(&mut self, spec: &Arc<Spec>) -> Option<Result<Unfed, SpawnError>> {
        tokio::select! {
            biased;
            () = other_than(&mut self.wanted, spec) => None,
            allowed = process::may_start() => Some(process::unfed(&spec.exec, allowed)),
        }
    }

    /// Waits for its end. `None` when it was stopped because something else is wanted.
    async fn attend(&mut self, process: Unfed, spec: &Arc<Spec>) -> Option<Ended> {
        let Unfed { mut child, stdout, stderr } = process;
        let pid = child.pid().as_raw_nonzero().get().unsigned_abs();
        let kept = |output| self.logs.writer_of(Some(Arc::clone(&self.name)), pid, output);
        // They end with what they listen to.
        let stdout = tokio::spawn(logs::drain(stdout, kept(Output::Stdout)));
        let stderr = tokio::spawn(logs::drain(stderr, kept(Output::Stderr)));
        let last_words = async { tokio::join!(stdout, stderr) };
        let (started, since_ms) = (Instant::now(), clock::read_ms());
        self.show(ProcessState::Running { pid, since_ms });
        tokio::select! {
            biased;
            exit = child.exit() => {
                let ran = started.elapsed();
                let _unused = timeout(LAST_WORDS_LIMIT, last_words).await;
                return Some(Ended { code: exit.code(), ran });
            }
            () = other_than(&mut self.wanted, spec) => {}
        }
        self.show(ProcessState::Stopping { pid });
        let deadline = Instant::now() + spec.grace;
        child.ask_to_end();
        if timeout_at(deadline, child.exit()).await.is_err() {
            child.kill();
            child.exit().await;
        }
        // The shell that leads a group may end before what it runs has.
        let rest = child.rest();
        while !rest.is_gone() {
            if Instant::now() >= deadline {
                rest.kill();
                break;
            }
            sleep(GROUP_INTERVAL).await;
        }
        let _unused = timeout(LAST_WORDS_LIMIT, last_words).await;
        None
    }

    /// False when something else is wanted before its time has come.
    async fn wait(&mut self, delay: Duration, spec: &Arc<Spec>) -> bool {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let until_ms = clock::read_ms().saturating_add(delay_ms);
        self.wait_until(Instant::now() + delay, until_ms, spec).await
    }

    async fn wait_until(&mut self, until: Instant, until_ms: u64, spec: &Arc<Spec>) -> bool {
        self.show(ProcessState::Waiting { until_ms });
        loop {
            tokio::select! {
                biased;
                () = other_than(&mut self.wanted, spec) => return false,
                () = sleep_until(until) => return true,
                Ok(()) = self.woken.changed() => {
                    if clock::read_ms() >= until_ms {
                        return true;
                    }
                }
            }
        }
    }

    fn show(&self, state: ProcessState) {
        self.shown.send_modify(|shown| shown.watched.state = state);
    }
}

/// Returns once something else than `spec` is wanted.
async fn other_than(wanted: &mut watch::Receiver<Option<Arc<Spec>>>, spec: &Arc<Spec>) {
    // An error means that the agent itself is ending.
    let _unused = wanted.wait_for(|wanted| wanted.as_ref() != Some(spec)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::supervise::{Supervise, Supervised};

    fn spec() -> Arc<Spec> {
        let process = Supervised {
            name: "worker".into(),
            argv: vec!["true".into()],
            cwd: None,
            env: Default::default(),
            user: None,
            root: None,
            grace_ms: 0,
        };
        let list = Supervise { env: Default::default(), processes: vec![process] };
        super::super::wanted::judge(list).unwrap().into_values().next().unwrap()
    }

    #[tokio::test]
    async fn a_wait_that_ran_out_asleep_is_over_at_the_wake() {
        let spec = spec();
        let watched = Watched {
            name: "worker".into(),
            state: ProcessState::Starting,
            restarts: 0,
            last_exit_code: None,
        };
        let (_wanted, wanted) = watch::channel(Some(Arc::clone(&spec)));
        let (shown, _shown) = watch::channel(Shown { spec: Arc::clone(&spec), watched });
        let (wake, woken) = watch::channel(0);
        let name = "worker".into();
        let mut keeper = Keeper { name, logs: Arc::default(), wanted, shown, woken };
        // The machine's own time stands still while it sleeps; the wall clock is set by the wake.
        let far = Instant::now() + Duration::from_secs(3600);
        let due_ms = clock::read_ms() + 100;
        let waiting = tokio::spawn(async move { keeper.wait_until(far, due_ms, &spec).await });
        tokio::task::yield_now().await;
        wake.send_replace(1);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "it was not due yet");
        sleep(Duration::from_millis(150)).await;
        wake.send_replace(2);
        assert!(waiting.await.unwrap());
    }
}
