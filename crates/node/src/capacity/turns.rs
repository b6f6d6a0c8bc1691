//! Whose create goes next: a few run at once, the others wait in line. Each org
//! has a line of its own and the lines take turns, so that one org's hundred
//! creates do not stand before another's first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pando_types::OrgId;
use tokio::sync::oneshot;

/// How long a create waits for its turn. Clients give up on an answer after 30 s.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How many wait at most: what a small host can do within [`LONGEST_WAIT`].
const LONGEST_LINE: usize = 200;

/// The lines, and how many go at once.
#[derive(Debug)]
pub(crate) struct Turns {
    at_once: usize,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    lines: BTreeMap<OrgId, VecDeque<oneshot::Sender<Turn>>>,
    /// Whose turn came last: the next line after it goes.
    last: Option<OrgId>,
}

/// Held by a create that runs; dropped, the next one goes.
#[derive(Debug)]
pub(crate) struct Turn(Option<Arc<Turns>>);

/// Too many wait, or waiting took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crowded;

impl Turns {
    pub(crate) fn new(at_once: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self { at_once, patience, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many go now.
    pub(crate) fn running(&self) -> usize {
        self.state().running
    }

    /// Waits for a turn.
    pub(crate) async fn take(self: &Arc<Self>, org: OrgId) -> Result<Turn, Crowded> {
        let waiting = {
            let mut state = self.state();
            if state.running < self.at_once {
                state.running += 1;
                return Ok(Turn(Some(Arc::clone(self))));
            }
            if state.waiting() >= LONGEST_LINE {
                return Err(Crowded);
            }
            let (sender, receiver) = oneshot::channel();
            state.lines.entry(org).or_default().push_back(sender);
            receiver
        };
        // A turn that comes as we give up is dropped with the channel, and goes on.
        match tokio::time::timeout(self.patience, waiting).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Crowded),
        }
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.lines.values().map(VecDeque::len).sum()
    }

    /// Takes the first of the line whose turn it is.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let after = self.last.and_then(|last| {
            let bounds = (std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded);
            self.lines.range(bounds).next().map(|(org, _)| *org)
        });
        let org = after.or_else(|| self.lines.keys().next().copied())?;
        let line = self.lines.get_mut(&org)?;
        let first = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&org);
        }
        self.last = Some(org);
        first
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        loop {
            let next = {
                let mut state = turns.state();
                let next = state.next();
                if next.is_none() {
                    state.running -= 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Turn(Some(Arc::clone(&turns)))) {
                Ok(()) => return,
                // It gave up waiting. What comes back must not be passed on a second time.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn yields() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn lines_take_turns() {
        let turns = Turns::new(1, LONGEST_WAIT);
        let (many, one) = (OrgId::new(), OrgId::new());
        let first = turns.take(many).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for org in [many, many, many, one] {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _turn = turns.take(org).await.unwrap();
                order.lock().unwrap().push(org);
            }));
            yields().await;
        }
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        let place = order.lock().unwrap().iter().position(|org| *org == one).unwrap();
        assert!(place <= 1, "it waited for one of the others at most, not for {place}");
        assert_eq!(turns.state().running, 0);
    }

    #[tokio::test]
    async fn who_waits_too_long_is_refused_and_blocks_nobody() {
        let turns = Turns::new(1, Duration::from_millis(1));
        let org = OrgId::new();
        let first = turns.take(org).await.unwrap();
        assert_eq!(turns.take(org).await.unwrap_err(), Crowded);
        drop(first);
        assert_eq!(turns.state().running, 0);
        drop(turns.take(org).await.unwrap());
    }

    #[tokio::test]
    async fn the_line_has_an_end() {
        let turns = Turns::new(1, LONGEST_WAIT);
        let org = OrgId::new();
        let _first = turns.take(org).await.unwrap();
        let waiting: Vec<_> = (0..LONGEST_LINE)
            .map(|_| {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move { turns.take(org).await.map(drop) })
            })
            .collect();
        while turns.state().waiting() < LONGEST_LINE {
            tokio::task::yield_now().await;
        }
        assert_eq!(turns.take(org).await.unwrap_err(), Crowded);
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
