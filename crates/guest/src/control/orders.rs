//! What the host orders, done.

use std::path::Path;

use pando_guest_protocol::control::{Identity, ToGuest, ToHost};

use super::freezer::Freezer;
use super::mount;
use super::shutdown;
use crate::identity;
use crate::lease::Leases;
use crate::session::{Services, Token};
use crate::sys::{clock, log, sock_diag};

/// What orders are carried out on.
pub struct Orders<'a> {
    services: &'a Services,
    leases: &'a Leases,
    freezer: Freezer,
    past: Past,
}

/// What a machine brings into its next life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    /// It was never more than a template: it holds no connection.
    Template,
    Lived,
}

impl<'a> Orders<'a> {
    /// On a machine that was just booted.
    pub fn new(services: &'a Services, leases: &'a Leases) -> Self {
        Self { services, leases, freezer: Freezer::default(), past: Past::Template }
    }

    /// Returns when the host has left the workload held for too long.
    pub async fn overdue(&self) {
        self.freezer.overdue().await;
    }

    /// Lets the workload go on without the host.
    pub fn let_go(&mut self) {
        log::error(format_args!("frozen, and forgotten: it goes on"));
        self.freezer.thaw();
    }

    /// Carries one out; not every one is answered.
    pub async fn carry_out(&mut self, order: ToGuest) -> Option<ToHost> {
        Some(match order {
            ToGuest::Restored(new) => self.start_life(&new),
            ToGuest::Attached { token } => self.attach(&token),
            ToGuest::Clock { wall_clock_ns } => {
                if let Err(error) = clock::set(wall_clock_ns) {
                    log::error(format_args!("control: set the clock: {error}"));
                }
                return None;
            }
            ToGuest::ReadClock { question } => {
                ToHost::Clock { question, wall_clock_ns: clock::read() }
            }
            ToGuest::ShiftClock { by_ns } => {
                if let Err(error) = clock::shift(by_ns) {
                    log::error(format_args!("control: shift the clock: {error}"));
                }
                return None;
            }
            ToGuest::Freeze { write_disks } => match self.freezer.freeze(write_disks).await {
                Ok(()) => ToHost::Frozen,
                Err(error) => failed(error.to_string()),
            },
            ToGuest::Thaw { wall_clock_ns } => {
                if let Err(error) = clock::correct(wall_clock_ns) {
                    log::error(format_args!("control: correct the clock: {error}"));
                }
                self.freezer.thaw();
                ToHost::Thawed
            }
            ToGuest::CountLeases => ToHost::Leases { held: self.leases.held() },
            ToGuest::Shutdown => {
                // What is held does not hear that it is to end.
                self.freezer.thaw();
                shutdown::shut_down(self.services).await
            }
        })
    }

    /// Without awaiting: on the runtime's only thread nothing else happens meanwhile.
    /// The workload goes on only when all of it is done.
    fn start_life(&mut self, new: &Identity) -> ToHost {
        self.services.access.suspend();
        let past = std::mem::replace(&mut self.past, Past::Lived);
        let adopted = match Token::parse(&new.token) {
            Some(token) => identity::adopt(new, Path::new("/"))
                .map(|()| token)
                .map_err(|error| error.to_string()),
            None => Err("token is malformed".to_owned()),
        };
        let token = match adopted {
            Ok(token) => token,
            Err(message) => {
                self.freezer.keep_held();
                return failed(message);
            }
        };
        if past == Past::Lived
            && let Err(error) = sock_diag::cut_outside_connections()
        {
            // They end as those to a host that is gone: late.
            log::error(format_args!("control: cut connections: {error}"));
        }
        // What goes on may look for what is mounted at once.
        let mounted = match mount::mount_all(&new.mounts) {
            Ok(mounted) => mounted,
            Err(error) => {
                self.freezer.keep_held();
                return failed(error.to_string());
            }
        };
        self.services.access.open(token);
        self.freezer.thaw();
        self.services.supervisor.wake();
        ToHost::Ready { mounted }
    }

    /// A host that begins anew knows nothing of what the one before it held.
    fn attach(&mut self, token: &str) -> ToHost {
        let Some(token) = Token::parse(token) else {
            return failed("token is malformed".to_owned());
        };
        self.services.access.replace(token);
        self.freezer.thaw();
        ToHost::Attached
    }
}

pub fn failed(message: String) -> ToHost {
    ToHost::Failed { message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pando_guest_protocol::control::Who;

    #[tokio::test]
    async fn attaching_replaces_the_token() {
        let (services, leases) = (Services::default(), Leases::default());
        let mut orders = Orders::new(&services, &leases);
        let (first, second) = ("01".repeat(32), "02".repeat(32));
        for token in [&first, &second] {
            let attached = orders.carry_out(ToGuest::Attached { token: token.clone() }).await;
            assert_eq!(attached, Some(ToHost::Attached));
            assert!(services.access.admit(token).is_some());
        }
        assert!(services.access.admit(&first).is_none());
        let malformed = orders.carry_out(ToGuest::Attached { token: "short".into() }).await;
        assert!(matches!(malformed, Some(ToHost::Failed { .. })));
        assert!(services.access.admit(&second).is_some());
    }

    #[tokio::test]
    async fn a_malformed_restore_leaves_the_machine_closed() {
        let (services, leases) = (Services::default(), Leases::default());
        let mut orders = Orders::new(&services, &leases);
        let token = "01".repeat(32);
        orders.carry_out(ToGuest::Attached { token: token.clone() }).await;
        let identity = Identity {
            seed: "00".into(),
            wall_clock_ns: 0,
            token: token.clone(),
            who: Who::Woken,
            mounts: Vec::new(),
        };
        let reply = orders.carry_out(ToGuest::Restored(identity)).await;
        assert!(matches!(reply, Some(ToHost::Failed { .. })), "{reply:?}");
        assert!(services.access.admit(&token).is_none());
    }

    #[tokio::test]
    async fn thawing_what_runs_is_no_failure() {
        let (services, leases) = (Services::default(), Leases::default());
        let mut orders = Orders::new(&services, &leases);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let wall_clock_ns = u64::try_from(now.as_nanos()).unwrap();
        let thawed = orders.carry_out(ToGuest::Thaw { wall_clock_ns }).await;
        assert_eq!(thawed, Some(ToHost::Thawed));
    }

    #[tokio::test]
    async fn the_clock_is_told_with_its_question() {
        let (services, leases) = (Services::default(), Leases::default());
        let told =
            Orders::new(&services, &leases).carry_out(ToGuest::ReadClock { question: 7 }).await;
        assert!(
            matches!(told, Some(ToHost::Clock { question: 7, wall_clock_ns: 1.. })),
            "{told:?}"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_held_is_told() {
        let (services, leases) = (Services::default(), Leases::default());
        let reply =
            Orders::new(&services, &leases).carry_out(ToGuest::Freeze { write_disks: true }).await;
        assert!(matches!(reply, Some(ToHost::Failed { .. })), "{reply:?}");
    }
}
