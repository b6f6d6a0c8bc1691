//! Putting a sandbox to sleep: its image is made durable, then its machine ended.
//!
//! ```text
//! saved to saving/ ─► fsync ─► named asleep/ ─► VMM killed ─► recorded ─► slot and disk left
//!        it can still go on    │               it may not run again
//! ```
//!
//! The name is the point of no return. Until then the machine goes on when anything
//! fails, or when the server ends; after it, whatever ends, the sandbox sleeps.

use std::fs;

use pando_vm::sys::durable;
use pando_vm::sys::fault::{self, Fault};

use super::actor::{Actor, blocking};
use super::handle::ActorError;
use super::policy::{Decision, Event};
use super::save::{Held, Next};
use crate::image::Image;
use crate::visitors;

impl Actor {
    pub(super) async fn hibernate(&mut self) -> Result<(), ActorError> {
        // Whoever comes from now on would talk to a machine that is about to end.
        self.close_for_sleep(true);
        let visitors = self.shared.visitors();
        visitors.close(self.id());
        visitors.clear(self.id(), visitors::GRACE).await;
        let outcome = self.try_hibernate().await;
        self.close_for_sleep(false);
        outcome
    }

    async fn try_hibernate(&mut self) -> Result<(), ActorError> {
        let held = self.hold(Next::Ends).await?;
        if let Err(error) = self.lie_down(&held).await {
            let _ = self.go_on().await;
            self.drop_saving().await;
            return Err(error);
        }
        fault::point(Fault::HibernateDurable);
        self.drop_machine().await;
        fault::point(Fault::HibernateKilled);
        self.leave_seat();
        if let Decision::Enter(state) = self.manifest.state.on(Event::Asleep) {
            self.manifest.state = state;
        }
        // What follows is found undone, and done, by the next start.
        if let Err(error) = self.record().await {
            self.tell(&error, "its sleep is not recorded");
        }
        fault::point(Fault::HibernateRecorded);
        let files = self.files.clone();
        if let Err(error) = blocking(move || files.remove_machine()).await {
            self.tell(&error, "the disk of its machine stays");
        }
        self.publish().await;
        Ok(())
    }

    fn tell(&self, error: &dyn std::error::Error, what: &str) {
        tracing::warn!(sandbox = self.id().short(), error = crate::chain(error), "{what}");
    }

    /// Makes what was saved the image that it sleeps in.
    async fn lie_down(&self, held: &Held) -> Result<(), ActorError> {
        let facts = self.facts(held.saved.clone(), held.since.elapsed());
        let files = self.files.clone();
        let named = blocking(move || {
            let (saving, asleep) = (files.saving(), files.asleep());
            Image::describe(&saving, facts)?.sync()?;
            fault::point(Fault::HibernateSynced);
            fs::rename(&saving, &asleep)?;
            match durable::sync_parent(&asleep) {
                // Under that name it would count: so it gets the other one back. Where
                // even that fails, it counts.
                Err(error) if fs::rename(&asleep, &saving).is_ok() => Err(error),
                _ => Ok(()),
            }
        });
        Ok(named.await?)
    }
}
