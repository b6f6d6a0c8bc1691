//! Starting the app: a process that lives on in the sandbox.

use super::run::{Halt, Run};
use crate::detect::{Pages, Plan, Serve};
use crate::machine::{Machine, exec};

/// Where the app's own output goes, in the sandbox.
pub(super) const APP_LOG: &str = "/var/log/pando/app.log";

/// The program of every template that serves a folder (`crates/guest/src/pages`).
const PAGES: &str = "pando-pages";

impl Run {
    /// Starts it; its process id in the sandbox.
    pub(super) async fn start(
        &self,
        machine: &dyn Machine,
        plan: &Plan,
        serve: &Serve,
    ) -> Result<u32, Halt> {
        let (port, folder) = (self.app.port.to_string(), self.folder());
        let mut exec = match serve {
            Serve::Command(command) => {
                self.say(format!("$ {command}")).await;
                exec(&["/bin/sh", "-c", &self.script(plan, command)])
            }
            Serve::Folder(Pages { folder: below, single_page }) => {
                let served =
                    if below.is_empty() { folder.clone() } else { format!("{folder}/{below}") };
                self.say(format!("Serving the files of {served} on port {port}.")).await;
                let mut exec = exec(&[PAGES, "--port", &port, &served]);
                if *single_page {
                    exec.argv.insert(1, "--single-page".to_owned());
                }
                exec
            }
            // Resolved after the build.
            Serve::BuiltFolder(_) | Serve::Image => {
                return Err(Halt::Failed("there is nothing to serve".into()));
            }
        };
        exec.cwd = Some(folder);
        exec.detached_log = Some(APP_LOG.to_owned());
        exec.env.insert("NODE_ENV".into(), "production".into());
        exec.env.extend(plan.env.clone());
        exec.env.extend(self.env.clone());
        // Last: where it must listen is not for the app's settings to say twice.
        exec.env.insert("PORT".into(), port);
        exec.env.insert("HOST".into(), "0.0.0.0".into());
        let started = machine.start(exec).await;
        let started = started
            .map_err(|error| Halt::Failed(format!("the app could not be started: {error}")))?;
        Ok(started.pid)
    }
}
