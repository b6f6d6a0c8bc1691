//! What an app's commands and processes find in their environment.
//!
//! Later rows win:
//!
//! | what | where |
//! | --- | --- |
//! | `CI=1` | install, build |
//! | `NODE_ENV=production`; of an image, what it sets instead | release, every process, one-off commands |
//! | what the plan's framework needs | everywhere |
//! | `PANDO_ENV`, `PANDO_APP_ID`, `PANDO_URL`, `PANDO_GIT_COMMIT`, `PANDO_GIT_BRANCH`, and of a preview `PANDO_PR_NUMBER` | everywhere but install |
//! | what the user set, byte by byte | everywhere |
//! | `PORT`, `HOST` | the web process |
//!
//! Install finds nothing that differs from one deployment to the next: what it leaves is a
//! layer that others begin with.
//!
//! Those of the user's that `pando.toml` lists as `build.secrets` are in install and build alone.
//! The build of an image finds nothing of all this: its steps may mount those secrets.
//!
//! `PORT` is where requests come in, so no other process has it: two of a kind would
//! fight for it.

use std::collections::BTreeMap;

use pando_store::{AppKind, AppRow, DeploymentRow};

use super::shape::Shape;
use crate::context::Context;
use crate::detect::Plan;
use crate::git::is_branch;

/// Names and values.
pub(crate) type Variables = BTreeMap<String, String>;

/// What an environment is made of.
pub(crate) struct Environment<'a> {
    pub app: &'a AppRow,
    pub deployment: &'a DeploymentRow,
    pub plan: &'a Plan,
    /// What the user set.
    pub own: &'a Variables,
    /// The app's public URL.
    pub url: String,
}

impl<'a> Environment<'a> {
    pub(crate) fn of(
        context: &Context,
        app: &'a AppRow,
        deployment: &'a DeploymentRow,
        plan: &'a Plan,
        own: &'a Variables,
    ) -> Self {
        Self { app, deployment, plan, own, url: context.urls.label(&app.label) }
    }

    /// Of install. NODE_ENV is not set here and in the build: both need what npm leaves out in
    /// production.
    pub(crate) fn installing(&self) -> Variables {
        // Tools ask nothing and draw no bars where this is set.
        self.over(pairs([("CI", "1".to_owned())]), Variables::new())
    }

    /// Of the build.
    pub(crate) fn building(&self) -> Variables {
        self.over(pairs([("CI", "1".to_owned())]), self.about())
    }

    /// Of everything that is run once it is built.
    pub(crate) fn running(&self) -> Variables {
        let first = match self.plan.container() {
            Some(container) => container.env.clone(),
            None => pairs([("NODE_ENV", "production".to_owned())]),
        };
        let mut all = self.over(first, self.about());
        all.retain(|name, _| !self.plan.build_secrets.contains(name));
        all
    }

    /// What the steps of an image may mount: no other variable is there while it is built, so
    /// that none is left in it.
    pub(crate) fn image_secrets(&self) -> Variables {
        let names = self.plan.build_secrets.iter();
        names.filter_map(|name| Some((name.clone(), self.own.get(name)?.clone()))).collect()
    }

    /// What the web process finds beside that, and over it: where it must listen is not for
    /// the app's settings to say twice.
    pub(crate) fn web(&self) -> Variables {
        pairs([
            ("PORT", Shape::of(self.app, self.plan).port.to_string()),
            ("HOST", "0.0.0.0".to_owned()),
        ])
    }

    fn over(&self, first: Variables, about: Variables) -> Variables {
        let mut all = first;
        all.extend(self.plan.env.clone());
        all.extend(about);
        all.extend(self.own.clone());
        all
    }

    /// What an app may want to know of itself.
    fn about(&self) -> Variables {
        let kind = match &self.app.kind {
            AppKind::App => "production",
            AppKind::Preview(_) => "preview",
        };
        let mut about = pairs([
            ("PANDO_ENV", kind.to_owned()),
            ("PANDO_APP_ID", self.app.id.to_string()),
            ("PANDO_URL", self.url.clone()),
            ("PANDO_GIT_COMMIT", self.deployment.commit.clone()),
            ("PANDO_GIT_BRANCH", self.branch().to_owned()),
        ]);
        if let AppKind::Preview(preview) = &self.app.kind {
            about.insert("PANDO_PR_NUMBER".to_owned(), preview.pr_number.to_string());
        }
        about
    }

    /// The branch that was asked for; where it was a commit, the one that the app follows.
    fn branch(&self) -> &str {
        let asked = self.deployment.git_ref.as_str();
        let is_named = is_branch(asked) && asked != self.deployment.commit;
        match &self.app.kind {
            AppKind::App if is_named && !asked.starts_with("refs/") => asked,
            AppKind::App | AppKind::Preview(_) => &self.app.git_branch,
        }
    }
}

fn pairs<const N: usize>(pairs: [(&'static str, String); N]) -> Variables {
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

#[cfg(test)]
mod tests {
    use pando_store::{Presence, PreviewOf};
    use pando_types::app::DeploymentStatus;
    use pando_types::{AppId, DeploymentId, OrgId, Timestamp};

    use super::*;
    use crate::detect::{Container, Serve};

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    fn app(kind: AppKind) -> AppRow {
        AppRow {
            id: AppId::new(),
            org: OrgId::new(),
            kind,
            name: "shop".into(),
            label: "shop-1".into(),
            git_url: "https://git.example/acme/shop".into(),
            repo_key: "git.example/acme/shop".into(),
            git_branch: "main".into(),
            template: "base".into(),
            auto_deploy: true,
            previews: true,
            framework: None,
            install_command: None,
            build_command: None,
            start_command: None,
            root_directory: String::new(),
            port: 3000,
            cpu: 1,
            memory_mib: 512,
            env_sealed: Vec::new(),
            preview_env_sealed: Vec::new(),
            git_token_sealed: None,
            deploy_key: None,
            active_deployment: None,
            active_sandbox: None,
            presence: Presence::Kept,
            created: Timestamp::from_millis(0),
            updated: Timestamp::from_millis(0),
            latest: None,
        }
    }

    fn deployment(app: &AppRow, git_ref: &str) -> DeploymentRow {
        DeploymentRow {
            id: DeploymentId::new(),
            org: app.org,
            app: app.id,
            status: DeploymentStatus::Building,
            commit: COMMIT.into(),
            git_ref: git_ref.into(),
            reason: "push".into(),
            sandbox: None,
            error: None,
            plan: None,
            origin: None,
            snapshot: None,
            settings_hash: None,
            is_fresh: false,
            history: Vec::new(),
            attempt: 1,
            created: Timestamp::from_millis(0),
            finished: None,
        }
    }

    /// All that an environment is made of.
    struct Case {
        app: AppRow,
        deployment: DeploymentRow,
        plan: Plan,
        own: Variables,
    }

    impl Case {
        fn new(app: AppRow, git_ref: &str) -> Self {
            let plan = serde_json::json!({
                "framework": "node", "serve": {"command": "npm start"}, "reasons": [],
                "env": {"HOSTNAME": "0.0.0.0"},
            });
            let (deployment, plan) = (deployment(&app, git_ref), serde_json::from_value(plan));
            Self { app, deployment, plan: plan.unwrap(), own: Variables::new() }
        }

        fn environment(&self) -> Environment<'_> {
            let Self { app, deployment, plan, own } = self;
            Environment { app, deployment, plan, own, url: "http://shop-1.preview.test".into() }
        }
    }

    #[test]
    fn an_app_knows_what_it_is() {
        let case = Case::new(app(AppKind::App), "main");
        let id = case.app.id.to_string();
        let all = case.environment().running();
        let want = [
            ("HOSTNAME", "0.0.0.0"),
            ("NODE_ENV", "production"),
            ("PANDO_APP_ID", &id),
            ("PANDO_ENV", "production"),
            ("PANDO_GIT_BRANCH", "main"),
            ("PANDO_GIT_COMMIT", COMMIT),
            ("PANDO_URL", "http://shop-1.preview.test"),
        ];
        let want: Variables = want.map(|(name, value)| (name.into(), value.into())).into();
        assert_eq!(all, want);
        let building = case.environment().building();
        assert_eq!(building["CI"], "1");
        assert!(!building.contains_key("NODE_ENV") && !all.contains_key("CI"));
        for (asked, branch) in [("other/branch", "other/branch"), (COMMIT, "main")] {
            let case = Case::new(app(AppKind::App), asked);
            assert_eq!(case.environment().running()["PANDO_GIT_BRANCH"], branch);
        }
    }

    #[test]
    fn a_preview_knows_its_pull_request() {
        let preview =
            PreviewOf { parent: AppId::new(), pr_number: 7, repo_full_name: "acme/shop".into() };
        let app = AppRow { git_branch: "blue".into(), ..app(AppKind::Preview(preview)) };
        let all = Case::new(app, "refs/pull/7/head").environment().building();
        assert_eq!((all["PANDO_ENV"].as_str(), all["PANDO_PR_NUMBER"].as_str()), ("preview", "7"));
        assert_eq!(all["PANDO_GIT_BRANCH"], "blue");
    }

    #[test]
    fn what_the_user_set_comes_through_as_it_is_and_the_port_comes_last() {
        let mut case = Case::new(app(AppKind::App), "main");
        let values = ["", " a b ", "$HOME `x` \"'\\", "two\nlines\n", "ü€", "a=b"];
        for (at, value) in values.iter().enumerate() {
            case.own.insert(format!("N{at}"), (*value).into());
        }
        for name in ["PORT", "HOST", "CI", "NODE_ENV", "HOSTNAME", "PANDO_URL"] {
            case.own.insert(name.into(), "mine".into());
        }
        let environment = case.environment();
        for all in [environment.installing(), environment.building(), environment.running()] {
            assert!(case.own.iter().all(|(name, value)| all.get(name) == Some(value)), "{all:?}");
        }
        let mut web = environment.running();
        web.extend(environment.web());
        assert_eq!((web["PORT"].as_str(), web["HOST"].as_str()), ("3000", "0.0.0.0"));
    }

    #[test]
    fn install_finds_the_same_for_each_commit() {
        let first = Case::new(app(AppKind::App), "main");
        let mut second = Case::new(app(AppKind::App), "other");
        second.deployment.commit = "f".repeat(40);
        assert_eq!(first.environment().installing(), second.environment().installing());
    }

    #[test]
    fn what_an_image_sets_gives_way_to_all_else() {
        let mut case = Case::new(app(AppKind::App), "main");
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        case.plan.serve = Serve::Container(Container {
            command: vec!["serve".into()],
            env: [set("PATH", "/opt/bin"), set("HOSTNAME", "image"), set("WORD", "image")].into(),
            cwd: "/srv".into(),
            user: None,
        });
        case.own = [set("WORD", "own"), set("TOKEN", "build")].into();
        case.plan.build_secrets = vec!["TOKEN".into()];
        let all = case.environment().running();
        assert_eq!(all["PATH"], "/opt/bin");
        assert_eq!((all["HOSTNAME"].as_str(), all["WORD"].as_str()), ("0.0.0.0", "own"));
        assert!(!all.contains_key("NODE_ENV") && !all.contains_key("TOKEN"));
        let secrets = case.environment().image_secrets();
        assert_eq!(secrets, [set("TOKEN", "build")].into());
    }
}
