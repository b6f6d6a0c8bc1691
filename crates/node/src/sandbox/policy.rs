//! What a sandbox may do next: pure, no clock, no I/O.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many characters of a reason are kept.
const MAX_REASON_CHARS: usize = 1000;

/// Where a sandbox is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Being made; never seen by anyone yet.
    Creating,
    /// Its agent answers.
    Running,
    /// Its vCPUs are stopped.
    Paused,
    /// It has no machine, and an image that one is made of when it is woken.
    Hibernated,
    /// It could not be made, or its machine died.
    Failed {
        /// What happened.
        reason: String,
    },
    /// Being taken apart.
    Deleting,
    /// Nothing is left of it.
    Deleted,
}

/// What happens to a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its restored guest said that it is ready.
    Ready,
    /// It could not be made.
    NotMade {
        /// Why.
        reason: String,
    },
    /// Somebody wants its vCPUs stopped.
    Pause,
    /// Somebody wants its vCPUs running.
    Resume,
    /// Somebody wants an image of it.
    Save,
    /// Somebody wants it to sleep.
    Hibernate,
    /// Its image is durable: its machine may not run again.
    Asleep,
    /// Somebody wants it awake.
    Wake,
    /// Its machine was made of its image, which is used up.
    Awake,
    /// A machine was booted of its disk, and an image made of that.
    Booted,
    /// Somebody wants it gone.
    Delete,
    /// Its time is over.
    Deadline,
    /// Its VMM's process ended.
    MachineEnded {
        /// The VMM's last words.
        reason: String,
    },
    /// It was taken apart.
    Cleaned,
}

/// What to do about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is as wished, or the event came too late.
    Ignore,
    /// Record this state: nothing to be done.
    Enter(State),
    /// Stop the vCPUs, then enter `Paused`.
    PauseMachine,
    /// Let the vCPUs run, then enter `Running`.
    ResumeMachine,
    /// Save the machine, which then goes on.
    SaveMachine,
    /// Copy the image that it sleeps in.
    CopyImage,
    /// Save the machine and end it, then enter `Hibernated`; on failure it goes on.
    Hibernate,
    /// Make a machine of the image, then enter `Running`; on failure it sleeps on.
    Wake,
    /// Make an image by booting its disk, enter `Hibernated`, then wake it.
    Boot,
    /// Record `Deleting`, take everything apart, then enter `Deleted`.
    TakeApart,
    /// Refused.
    Deny(Denial),
}

/// Why an event was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// It is not up yet.
    #[error("the sandbox is still being created")]
    StillCreating,
    /// It has no machine any more.
    #[error("the sandbox has failed: wake it to boot it from its disk, or delete it")]
    HasFailed,
    /// It has neither a machine nor anything to make one of.
    #[error("the sandbox has failed and left no disk: it can only be deleted")]
    HasNoDisk,
    /// Volumes that it was made with may be another's now.
    #[error(
        "the sandbox has failed, and the volumes that it wrote to went free: attach them to another"
    )]
    LostVolumes,
    /// It has no machine now.
    #[error("the sandbox is asleep: wake it first")]
    IsAsleep,
    /// It is on its way out, or gone.
    #[error("the sandbox is being deleted")]
    IsLeaving,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Hibernated => "hibernated",
            Self::Failed { .. } => "failed",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        })
    }
}

impl State {
    /// It failed for that reason, which may hold words of its guest or of its VMM: so it is
    /// kept no longer than fits a row and a log.
    #[must_use]
    pub fn failed(reason: &str) -> Self {
        Self::Failed { reason: crate::plain(reason, MAX_REASON_CHARS) }
    }

    /// What follows `event` here. The only place that knows.
    #[must_use]
    pub fn on(&self, event: Event) -> Decision {
        use Decision::{
            Boot, CopyImage, Deny, Enter, Hibernate, Ignore, PauseMachine, ResumeMachine,
            SaveMachine, TakeApart, Wake,
        };
        match (self, event) {
            (Self::Deleting, Event::Cleaned) => Enter(Self::Deleted),
            (Self::Deleting | Self::Deleted, event) if event.is_wish() => Deny(Denial::IsLeaving),
            (Self::Deleting | Self::Deleted, _) | (_, Event::Cleaned) => Ignore,

            (_, Event::Delete | Event::Deadline) => TakeApart,

            (Self::Creating, Event::Ready) => Enter(Self::Running),
            (Self::Creating, Event::NotMade { reason } | Event::MachineEnded { reason }) => {
                Enter(Self::failed(&reason))
            }
            (Self::Creating, event) if event.is_wish() => Deny(Denial::StillCreating),

            (Self::Running, Event::Pause) => PauseMachine,
            (Self::Paused, Event::Resume) => ResumeMachine,
            (Self::Running | Self::Paused, Event::Save) => SaveMachine,
            (Self::Running | Self::Paused, Event::Hibernate) => Hibernate,
            (Self::Running | Self::Paused, Event::Asleep) => Enter(Self::Hibernated),
            (Self::Running | Self::Paused, Event::MachineEnded { reason }) => {
                Enter(Self::failed(&reason))
            }

            (Self::Hibernated, Event::Wake) => Wake,
            (Self::Hibernated, Event::Awake) => Enter(Self::Running),
            (Self::Hibernated, Event::Save) => CopyImage,
            (Self::Hibernated, Event::Pause | Event::Resume) => Deny(Denial::IsAsleep),

            (Self::Failed { .. }, Event::Wake) => Boot,
            (Self::Failed { .. }, Event::Booted) => Enter(Self::Hibernated),
            (Self::Failed { .. }, event) if event.is_wish() => Deny(Denial::HasFailed),

            // As wished already, or too late.
            (_, _) => Ignore,
        }
    }
}

impl Event {
    /// Whether somebody waits for what comes of it.
    fn is_wish(&self) -> bool {
        matches!(self, Self::Pause | Self::Resume | Self::Save | Self::Hibernate | Self::Wake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event() -> impl Strategy<Value = Event> {
        let reason = || "r".to_owned();
        prop_oneof![
            Just(Event::Ready),
            Just(Event::NotMade { reason: reason() }),
            Just(Event::Pause),
            Just(Event::Resume),
            Just(Event::Save),
            Just(Event::Hibernate),
            Just(Event::Wake),
            Just(Event::Delete),
            Just(Event::Deadline),
            Just(Event::MachineEnded { reason: reason() }),
            Just(Event::Cleaned),
        ]
    }

    /// Acts as the actor would, with a machine that always obeys.
    fn step(state: State, event: Event) -> State {
        match state.on(event) {
            Decision::Ignore | Decision::Deny(_) | Decision::SaveMachine | Decision::CopyImage => {
                state
            }
            Decision::Enter(next) => next,
            Decision::PauseMachine => State::Paused,
            Decision::ResumeMachine => State::Running,
            Decision::Hibernate => step(state, Event::Asleep),
            Decision::Wake => step(state, Event::Awake),
            Decision::Boot => step(step(state, Event::Booted), Event::Awake),
            Decision::TakeApart => State::Deleting,
        }
    }

    proptest! {
        #[test]
        fn whoever_leaves_never_comes_back(events in proptest::collection::vec(event(), 0..40)) {
            let mut state = State::Creating;
            let mut leaving = false;
            for event in events {
                state = step(state, event);
                let leaves = matches!(state, State::Deleting | State::Deleted);
                prop_assert!(leaves || !leaving);
                leaving = leaves;
            }
        }

        #[test]
        fn a_delete_and_its_cleaning_always_end_in_deleted(
            events in proptest::collection::vec(event(), 0..20)
        ) {
            let state = events.into_iter().fold(State::Creating, step);
            let state = step(step(state, Event::Delete), Event::Cleaned);
            prop_assert_eq!(state, State::Deleted);
        }

        #[test]
        fn what_sleeps_only_wakes_or_goes(
            events in proptest::collection::vec(event(), 0..20), next in event()
        ) {
            let state = events.into_iter().fold(State::Creating, step);
            if state == State::Hibernated {
                let after = step(state, next.clone());
                let expected = match next {
                    Event::Wake => State::Running,
                    Event::Delete | Event::Deadline => State::Deleting,
                    _ => State::Hibernated,
                };
                prop_assert_eq!(after, expected);
            }
        }

        #[test]
        fn every_wish_may_come_twice(events in proptest::collection::vec(event(), 0..20), last in event()) {
            let once = step(events.into_iter().fold(State::Creating, step), last.clone());
            let twice = step(once.clone(), last.clone());
            if last != Event::Cleaned {
                prop_assert_eq!(once, twice);
            }
        }
    }
}
