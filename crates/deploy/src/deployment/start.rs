//! Starting the app: processes that the sandbox's agent keeps running.

use pando_guest_protocol::supervise::{MAX_SUPERVISED, Supervise, Supervised};

use super::environment::{Environment, Variables};
use super::place::Place;
use super::run::{Halt, Run};
use crate::detect::{Pages, Plan, PlannedProcess, Serve, quoted};
use crate::machine::Machine;

/// The process that answers on the app's port.
pub(crate) const WEB: &str = "web";

/// The program of every template that serves a folder (`crates/guest/src/pages`).
const PAGES: &str = "pando-pages";

impl Run {
    /// Starts what answers on the port, and what runs beside it.
    pub(super) async fn start(
        &self,
        machine: &dyn Machine,
        plan: &Plan,
        serve: &Serve,
    ) -> Result<(), Halt> {
        let count = plan.processes.len() + 1;
        if count > MAX_SUPERVISED {
            return Err(Halt::Failed(format!(
                "it has {count} processes, and an app has {MAX_SUPERVISED} at most; \
                 take some out of the Procfile"
            )));
        }
        let environment = self.environment(plan);
        let place = Place::of(&self.app, plan);
        let mut processes = vec![self.web(&place, serve, environment.web()).await?];
        for PlannedProcess { name, command } in &plan.processes {
            self.say(format!("{name}: $ {command}")).await;
            processes.push(place.process(name, place.shell(command), Variables::new()));
        }
        let list = Supervise { env: environment.running(), processes };
        let started = machine.supervise(list).await;
        started.map_err(|error| Halt::Failed(format!("the app could not be started: {error}")))
    }

    pub(super) fn environment<'a>(&'a self, plan: &'a Plan) -> Environment<'a> {
        Environment::of(&self.context, &self.app, &self.row, plan, &self.env)
    }

    async fn web(
        &self,
        place: &Place<'_>,
        serve: &Serve,
        env: Variables,
    ) -> Result<Supervised, Halt> {
        let (port, folder) = (self.port.to_string(), self.folder());
        let argv = match serve {
            Serve::Command(command) => {
                self.say(format!("$ {command}")).await;
                place.shell(command)
            }
            Serve::Folder(Pages { folder: below, single_page }) => {
                let served =
                    if below.is_empty() { folder.clone() } else { format!("{folder}/{below}") };
                self.say(format!("Serving the files of {served} on port {port}.")).await;
                let mut argv = vec![PAGES.to_owned()];
                if *single_page {
                    argv.push("--single-page".to_owned());
                }
                argv.extend(["--port".to_owned(), port, served]);
                argv
            }
            Serve::Container(container) => {
                self.say(format!("$ {}", typed(&container.command))).await;
                container.command.clone()
            }
            // Resolved after the build.
            Serve::BuiltFolder(_) | Serve::Image { .. } => {
                return Err(Halt::Failed("there is nothing to serve".into()));
            }
        };
        Ok(place.process(WEB, argv, env))
    }
}

/// A command as one would type it.
fn typed(words: &[String]) -> String {
    let word = |word: &String| {
        let rest = word.trim_start_matches('-');
        let dashes = &word[..word.len() - rest.len()];
        match (dashes, rest) {
            ("", _) => quoted(word),
            (_, "") => dashes.to_owned(),
            _ => format!("{dashes}{}", quoted(rest)),
        }
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let words = ["python3", "-m", "a b", "--", "--x=y z", ""].map(str::to_owned);
        assert_eq!(typed(&words), "python3 -m 'a b' -- --'x=y z' ''");
    }
}
