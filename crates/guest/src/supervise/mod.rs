//! Processes that are kept running: the host says which (`wanted`), each has one task
//! (`keeper`), and a pure rule says when one that ended starts again (`policy`).
//!
//! They are of the workload like everything else: frozen with it, copied with the machine,
//! and thawed in another life as they were. What they are started with, secrets among it,
//! is in the agent's memory alone.

mod keeper;
mod policy;
mod wanted;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pando_guest_protocol::session::Failure;
use pando_guest_protocol::supervise::{ProcessState, Supervise, SupervisedList, Watched};
use tokio::sync::watch;

use self::keeper::{Keeper, Shown};
use self::wanted::{Spec, Wanted};
use crate::logs::Logs;

/// The way to a process's task.
struct Handle {
    wanted: watch::Sender<Option<Arc<Spec>>>,
    shown: watch::Receiver<Shown>,
}

/// All supervised processes of the machine.
pub struct Supervisor {
    table: Mutex<BTreeMap<Arc<str>, Handle>>,
    /// Held while a list is put into effect, so that one never waits for what the next undoes.
    turn: tokio::sync::Mutex<()>,
    woken: watch::Sender<u64>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { table: Mutex::default(), turn: Default::default(), woken: watch::Sender::new(0) }
    }
}

impl Supervisor {
    /// Keeps these processes running, and no others; returns when those that had to end have.
    /// Given up midway, it is put into effect all the same.
    ///
    /// # Errors
    /// What is wrong with the list; nothing is changed then.
    pub async fn set(self: &Arc<Self>, list: Supervise, logs: &Arc<Logs>) -> Result<(), Failure> {
        let wanted = wanted::judge(list)?;
        let _turn = self.turn.lock().await;
        for (mut ending, former) in self.apply(wanted, logs) {
            // An error means that its task has ended, and the process with it.
            let _unused = ending.wait_for(|shown| !Arc::ptr_eq(&shown.spec, &former)).await;
        }
        Ok(())
    }

    /// Stops all of them.
    pub async fn stop(self: &Arc<Self>, logs: &Arc<Logs>) {
        // An empty list has nothing wrong with it.
        let _unused = self.set(Supervise::default(), logs).await;
    }

    /// How they are.
    pub fn list(&self) -> SupervisedList {
        let processes: Vec<Watched> =
            self.table().values().map(|handle| handle.shown.borrow().watched.clone()).collect();
        SupervisedList { processes }
    }

    /// Says that the machine slept: what is due by the wall clock is due.
    pub fn wake(&self) {
        self.woken.send_modify(|count| *count += 1);
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Handle>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells each task what is wanted of it; gives those whose process has to end first, and
    /// what they were started as.
    fn apply(
        self: &Arc<Self>,
        wanted: Wanted,
        logs: &Arc<Logs>,
    ) -> Vec<(watch::Receiver<Shown>, Arc<Spec>)> {
        let mut table = self.table();
        let mut ending = Vec::new();
        for (name, handle) in table.iter() {
            let now = wanted.get(name).cloned();
            if *handle.wanted.borrow() != now {
                let former = Arc::clone(&handle.shown.borrow().spec);
                ending.push((handle.shown.clone(), former));
                handle.wanted.send_replace(now);
            }
        }
        for (name, spec) in wanted {
            let own = Arc::clone(&name);
            table.entry(name).or_insert_with(|| self.spawn(own, spec, logs));
        }
        ending
    }

    /// The task of a new process.
    fn spawn(self: &Arc<Self>, name: Arc<str>, spec: Arc<Spec>, logs: &Arc<Logs>) -> Handle {
        let watched = Watched {
            name: name.as_ref().to_owned(),
            state: ProcessState::Starting,
            restarts: 0,
            last_exit_code: None,
        };
        let (wanted, receiver) = watch::channel(Some(Arc::clone(&spec)));
        let (sender, shown) = watch::channel(Shown { spec, watched });
        let mut keeper = Keeper {
            name: Arc::clone(&name),
            logs: Arc::clone(logs),
            wanted: receiver,
            shown: sender,
            woken: self.woken.subscribe(),
        };
        let supervisor = Arc::clone(self);
        // It ends when its process is not wanted any more, or with the agent.
        tokio::spawn(async move {
            loop {
                keeper.keep().await;
                if supervisor.forget(&name) {
                    return;
                }
            }
        });
        Handle { wanted, shown }
    }

    /// Takes a process out that is gone, unless it has come to be wanted again.
    fn forget(&self, name: &str) -> bool {
        let mut table = self.table();
        let is_wanted = table.get(name).is_some_and(|handle| handle.wanted.borrow().is_some());
        if !is_wanted {
            table.remove(name);
        }
        !is_wanted
    }
}
