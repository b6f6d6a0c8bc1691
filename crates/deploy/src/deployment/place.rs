//! Where the commands and processes of an app run: in its folder of the sandbox, or in the image
//! that was built of it. And how each becomes what the sandbox's agent is told.

use std::time::Duration;

use pando_guest_protocol::control::APP_IMAGE;
use pando_guest_protocol::session::Exec;
use pando_guest_protocol::supervise::{DEFAULT_GRACE_MS, Supervised};
use pando_store::AppRow;

use super::environment::Variables;
use super::run::in_sandbox;
use super::tools::PROFILE;
use crate::detect::{Container, Plan, quoted};

/// Of one app, as a plan has it.
pub(crate) struct Place<'a> {
    plan: &'a Plan,
    /// The app's folder.
    folder: String,
}

impl<'a> Place<'a> {
    pub(crate) fn of(app: &AppRow, plan: &'a Plan) -> Self {
        Self { plan, folder: in_sandbox(&app.root_directory) }
    }

    /// A command as the user wrote it, for the shell.
    pub(crate) fn shell(&self, command: &str) -> Vec<String> {
        ["/bin/sh".to_owned(), "-c".to_owned(), self.script(command)].into()
    }

    /// A program and its arguments, none of which is read twice.
    pub(crate) fn words(&self, argv: Vec<String>) -> Vec<String> {
        if self.container().is_some() {
            // It may have no shell.
            return argv;
        }
        let mut words = self.shell("exec \"$@\"");
        words.push("sh".to_owned());
        words.extend(argv);
        words
    }

    pub(crate) fn exec(&self, argv: Vec<String>, env: Variables, timeout: Duration) -> Exec {
        Exec {
            argv,
            cwd: Some(self.cwd().to_owned()),
            env,
            user: self.user(),
            timeout_ms: Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1)),
            detached_log: None,
            log_name: None,
            root: self.root(),
        }
    }

    pub(crate) fn process(&self, name: &str, argv: Vec<String>, env: Variables) -> Supervised {
        Supervised {
            name: name.to_owned(),
            argv,
            cwd: Some(self.cwd().to_owned()),
            env,
            user: self.user(),
            root: self.root(),
            grace_ms: DEFAULT_GRACE_MS,
        }
    }

    fn container(&self) -> Option<&'a Container> {
        self.plan.container()
    }

    fn cwd(&self) -> &str {
        self.container().map_or(&self.folder, |container| &container.cwd)
    }

    fn user(&self) -> Option<String> {
        self.container().and_then(|container| container.user.clone())
    }

    fn root(&self) -> Option<String> {
        self.container().map(|_| APP_IMAGE.to_owned())
    }

    /// With the tools that were installed for the plan, and its folders before their PATH. An
    /// image has none of either.
    fn script(&self, command: &str) -> String {
        let Self { plan, folder } = self;
        if plan.container().is_some() {
            return command.to_owned();
        }
        let mut script = format!("if [ -r {PROFILE} ]; then . {PROFILE}; fi\n");
        if !plan.path.is_empty() {
            let folders = plan.path.iter().map(|path| quoted(&format!("{folder}/{path}")));
            let folders = folders.collect::<Vec<_>>().join(":");
            script.push_str(&format!("export PATH={folders}:\"$PATH\"\n"));
        }
        script + command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(serve: &serde_json::Value) -> Plan {
        let plan = serde_json::json!({"framework": "node", "serve": serve, "reasons": []});
        serde_json::from_value(plan).unwrap()
    }

    fn place(plan: &Plan) -> Place<'_> {
        Place { plan, folder: "/app".into() }
    }

    #[test]
    fn folders_of_the_plan_come_before_path() {
        let mut plan = plan(&serde_json::json!({"command": "npm start"}));
        let script = |plan: &Plan| place(plan).shell("run").pop().unwrap();
        assert!(script(&plan).ends_with("; fi\nrun"));
        plan.path = vec![".venv/bin".into(), "a b".into()];
        let script = script(&plan);
        let path = "\nexport PATH=/app/.venv/bin:'/app/a b':\"$PATH\"\nrun";
        assert!(script.ends_with(path), "{script}");
        let words = place(&plan).words(vec!["a b".into(), "c".into()]);
        assert!(words[2].ends_with("exec \"$@\"") && words[3..] == ["sh", "a b", "c"], "{words:?}");
    }

    #[test]
    fn an_image_is_where_everything_of_it_runs() {
        let plan = plan(&serde_json::json!({"container": {
            "command": ["serve"], "env": {}, "cwd": "/srv", "user": "app:www-data",
        }}));
        let place = place(&plan);
        assert_eq!(place.shell("a && b"), ["/bin/sh", "-c", "a && b"]);
        assert_eq!(place.words(vec!["ls".into()]), ["ls"]);
        let exec = place.exec(vec!["ls".into()], Variables::new(), Duration::from_secs(1));
        assert_eq!(exec.root.as_deref(), Some("/run/pando-app/image"));
        let process = place.process("web", vec!["serve".into()], Variables::new());
        assert_eq!((process.cwd, process.root), (exec.cwd, exec.root));
        assert_eq!(process.user.as_deref(), Some("app:www-data"));
        assert_eq!(exec.user, process.user);
    }
}
