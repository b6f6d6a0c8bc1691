//! An app of a Dockerfile: its image is built where templates are, and goes to the app's disk
//! as a tree that everything of the app then has for its root.

use std::sync::Arc;

use pando_guest_protocol::SESSION_PORT;
use pando_node::control::{AppImage, AppImageLog, AppMachine};
use pando_types::template::TemplateConfig;
use tokio::sync::mpsc;

use super::run::{Halt, Run};
use super::shape::Shape;
use crate::detect::{Container, Plan, Serve};
use crate::git::Mirror;
use crate::machine::Machine;

/// Lots of lines that wait for the log; then the build waits.
const QUEUE: usize = 64;

impl Run {
    /// The machine in which the image was built; the plan then says what runs in it.
    pub(super) async fn image(
        &mut self,
        mirror: Mirror,
        plan: &mut Plan,
    ) -> Result<Box<dyn Machine>, Halt> {
        self.say("Making the machine that builds images; the first one on a host takes a while.")
            .await;
        let machine = self.create(AppMachine::Builder, plan).await?.ok_or(Halt::Ended)?;
        self.unpack(&*machine, &mirror, &mirror.listing(), false).await?;
        drop(mirror);
        self.step_done().await?;
        let config = self.build_image(plan).await?;
        self.run_in(config, plan).await?;
        Ok(machine)
    }

    async fn build_image(&self, plan: &Plan) -> Result<TemplateConfig, Halt> {
        let sandbox = self.row.sandbox.ok_or(Halt::Ended)?;
        let (folder, file) = (self.folder(), plan.dockerfile.as_deref().unwrap_or("Dockerfile"));
        let secrets = self.environment(plan).image_secrets();
        for name in plan.build_secrets.iter().filter(|name| !secrets.contains_key(*name)) {
            self.say(format!("Warning: the build secret {name} is not set on the app.")).await;
        }
        self.say(format!("Building {file}.")).await;
        let image = AppImage { dockerfile: format!("{folder}/{file}"), context: folder, secrets };
        let (sender, mut said) = mpsc::channel::<Vec<String>>(QUEUE);
        let redactor = self.redactor.clone();
        let log =
            AppImageLog { lines: sender, shown: Arc::new(move |line| redactor.clean_cut(&line)) };
        let writing = async {
            while let Some(lines) = said.recv().await {
                for line in lines {
                    self.log.line(self.row.status, line).await;
                }
            }
        };
        let building = self.context.machines.build_image(self.row.org, sandbox, image, log);
        let (built, ()) = tokio::join!(building, writing);
        built.map_err(|error| Halt::Failed(error.to_string()))
    }

    /// Puts into the plan what runs in the image, and where it listens.
    async fn run_in(&mut self, config: TemplateConfig, plan: &mut Plan) -> Result<(), Halt> {
        if plan.port.is_none() && !config.ports.is_empty() {
            plan.port = exposed(&config.ports);
            let why = match (plan.port, config.ports.as_slice()) {
                (Some(port), _) => format!("Port {port}, because the image exposes it."),
                (None, [port]) => format!("The image exposes port {port}, which is taken."),
                (None, ports) => {
                    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                    format!("The image exposes the ports {}: set one.", ports.join(", "))
                }
            };
            self.say(why).await;
        }
        plan.serve = Serve::Container(container(&plan.serve, config).map_err(Halt::Failed)?);
        self.port = Shape::of(&self.app, plan).port;
        Ok(())
    }
}

/// The port that an image exposes, if it is one.
fn exposed(ports: &[u16]) -> Option<u16> {
    match ports {
        [port] => Some(*port).filter(|port| *port != SESSION_PORT),
        _ => None,
    }
}

fn container(serve: &Serve, config: TemplateConfig) -> Result<Container, String> {
    let command = match serve {
        Serve::Image { command: Some(command) } => {
            ["/bin/sh".to_owned(), "-c".to_owned(), command.clone()].into()
        }
        _ => config.command,
    };
    if command.is_empty() {
        return Err("the image names no command to run: give its Dockerfile a CMD or ENTRYPOINT, \
                    or set start_command"
            .to_owned());
    }
    let cwd = config.cwd.unwrap_or_else(|| "/".to_owned());
    Ok(Container { command, env: config.env, cwd, user: config.user })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_runs_in_place_of_the_images_command() {
        let own = Serve::Image { command: None };
        let set = Serve::Image { command: Some("serve && wait".into()) };
        let config = TemplateConfig {
            command: vec!["node".into(), "a b".into()],
            user: Some("1000".into()),
            ..TemplateConfig::default()
        };
        let found = container(&own, config.clone()).unwrap();
        assert_eq!((found.command, found.cwd.as_str()), (config.command.clone(), "/"));
        assert_eq!(found.user.as_deref(), Some("1000"));
        let config = TemplateConfig { cwd: Some("/srv".into()), ..config };
        let found = container(&set, config).unwrap();
        assert_eq!(found.command, ["/bin/sh", "-c", "serve && wait"]);
        assert_eq!(found.cwd, "/srv");
        assert!(container(&own, TemplateConfig::default()).unwrap_err().contains("CMD"));
        assert!(container(&set, TemplateConfig::default()).is_ok());
    }

    #[test]
    fn a_port_is_taken_where_it_is_the_only_one() {
        assert_eq!(exposed(&[8080]), Some(8080));
        for ports in [&[][..], &[80, 443], &[SESSION_PORT]] {
            assert_eq!(exposed(ports), None);
        }
    }
}
