//! An actor watches whether its sandbox is idle, and puts it to sleep when it is.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pando_guest_protocol::control::{ToGuest, ToHost};
use pando_vm::sys::process::Work;
use tokio::time::{Instant, sleep_until};

use super::actor::Actor;
use super::idle::{Evidence, Idle, Verdict};
use super::policy::{Event, State};

/// How long an agent may take to say whether a program holds a lease.
const LEASES_LIMIT: Duration = Duration::from_secs(2);

/// What an actor knows of its sandbox's idleness.
pub(super) struct Watch {
    idle: Idle,
    look_at: Instant,
}

/// Returns when the next look is due.
pub(super) async fn due(look_at: Option<Instant>) {
    match look_at {
        Some(look_at) => sleep_until(look_at).await,
        None => std::future::pending().await,
    }
}

impl Actor {
    /// When the next look is due; never while it does not run, or may not sleep.
    pub(super) fn look_at(&mut self) -> Option<Instant> {
        let timeout = self.manifest.idle_timeout.filter(|_| self.manifest.state == State::Running);
        let Some(timeout) = timeout else {
            self.watch = None;
            return None;
        };
        let (now, worked) = (self.shared.clock.now(), self.worked());
        let watch = self.watch.get_or_insert_with(|| {
            let idle = Idle::new(timeout, now, worked);
            Watch { look_at: Instant::now() + idle.step(), idle }
        });
        Some(watch.look_at)
    }

    /// Looks; puts it to sleep if it is idle, and nobody comes before the way in is closed.
    pub(super) async fn look(&mut self) {
        if self.verdict() != Verdict::Sleep || self.is_leased_inside().await {
            return;
        }
        self.close_for_sleep(true);
        self.shared.visitors().close(self.id());
        // Who came since waits, and is seen; who comes now waits until it sleeps.
        if self.verdict() == Verdict::Sleep {
            tracing::info!(sandbox = self.id().short(), "idle, so it sleeps");
            self.act(Event::Hibernate).await;
        }
        self.close_for_sleep(false);
        if let Some(watch) = &mut self.watch {
            // It could not sleep: it is not tried again at once.
            watch.look_at = watch.look_at.max(Instant::now() + watch.idle.step());
        }
    }

    /// Whether a program of the guest wants it to stay awake, which is use at this moment.
    /// An agent that does not say is not waited for: it may know nothing of the question.
    async fn is_leased_inside(&mut self) -> bool {
        let Some(control) = &mut self.control else { return false };
        let held = AtomicU32::new(0);
        let counted = async {
            control.skip_unread();
            control.send(&ToGuest::CountLeases).await?;
            let is_count = |said: &ToHost| match said {
                ToHost::Leases { held: count } => {
                    held.store(*count, Ordering::Relaxed);
                    true
                }
                _ => false,
            };
            control.wait(LEASES_LIMIT, is_count).await
        };
        if let Err(error) = counted.await {
            let error = crate::chain(&error);
            tracing::debug!(sandbox = self.id().short(), error, "it is not known who holds leases");
        }
        let is_leased = held.into_inner() > 0;
        if let Some(watch) = self.watch.as_mut().filter(|_| is_leased) {
            watch.idle.use_now(self.shared.clock.now());
            watch.look_at = Instant::now() + watch.idle.step();
        }
        is_leased
    }

    fn verdict(&mut self) -> Verdict {
        let seen = Evidence {
            now: self.shared.clock.now(),
            last_asked: self.usage.last(),
            is_used: self.usage.is_open() || self.shared.visitors().were_there(self.id()),
            worked: self.worked(),
            leased_until: self.manifest.leased_until,
        };
        let Some(watch) = &mut self.watch else { return Verdict::Awake { look_in: Duration::MAX } };
        let verdict = watch.idle.look(seen);
        if let Verdict::Awake { look_in } = verdict {
            watch.look_at = Instant::now() + look_in;
        }
        verdict
    }

    /// What its machine has worked.
    fn worked(&self) -> Work {
        self.machine.as_ref().and_then(|machine| machine.worked()).unwrap_or_default()
    }
}
