use std::collections::BTreeMap;

use futures_util::future::join_all;
use pando_types::app::{CreateDeployment, DeploymentStatus, UpdateApp};
use pando_types::env::{EnvScope, ImportEnv, MASK, SetEnv};
use pando_types::limits::{MAX_APP_ENV_BYTES, MAX_DOTENV_BYTES, MAX_ENV_NAME_BYTES};
use pando_types::{AppId, Code, PublicError};

use crate::world::World;
use EnvScope::{All, Preview, Production};

impl World {
    async fn set_env(
        &self,
        app: AppId,
        key: &str,
        value: &str,
        secret: bool,
        scope: EnvScope,
    ) -> Result<(), PublicError> {
        let request = SetEnv { value: value.into(), secret, scope };
        let set = self.deploy.env_set(self.org, app, key, request).await?;
        assert_eq!((set.key.as_str(), set.secret, set.scope), (key, secret, scope));
        Ok(())
    }

    async fn import_env(&self, app: AppId, dotenv: &str) -> Result<(usize, usize), PublicError> {
        let request = ImportEnv { dotenv: dotenv.into(), ..ImportEnv::default() };
        let done = self.deploy.env_import(self.org, app, &request).await?;
        Ok((done.imported, done.total))
    }

    /// Name, value and scope of each entry.
    async fn env(&self, app: AppId) -> Vec<(String, String, EnvScope)> {
        let list = self.deploy.env_list(self.org, app).await.unwrap();
        let shown = |entry: &pando_types::env::EnvEntry| entry.secret == (entry.value == MASK);
        assert!(list.env.iter().all(shown), "{list:?}");
        list.env.into_iter().map(|entry| (entry.key, entry.value, entry.scope)).collect()
    }

    /// The environment that the build of a deployment had.
    fn seen(&self, app: &pando_types::app::App) -> BTreeMap<String, String> {
        let sandbox = self.target(app).unwrap().sandbox.unwrap();
        let seen = String::from_utf8(self.machines.read(sandbox, "app/seen").unwrap()).unwrap();
        let pairs = seen.split_terminator('\0').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

fn entries(all: &[(&str, &str, EnvScope)]) -> Vec<(String, String, EnvScope)> {
    let owned = |(name, value, scope): &(&str, &str, EnvScope)| {
        ((*name).to_owned(), (*value).to_owned(), *scope)
    };
    all.iter().map(owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_set_shown_and_removed_one_by_one() {
    let world = World::new().await;
    let whole = |name: &str| Some(BTreeMap::from([(name.to_owned(), "whole".to_owned())]));
    let app = world
        .app(|app| {
            app.env = whole("OWN");
            app.preview_env = whole("THEIRS");
        })
        .await;
    world.ended(app.id).await;
    let given = entries(&[("OWN", MASK, Production), ("THEIRS", MASK, Preview)]);
    assert_eq!(world.env(app.id).await, given, "what was set whole is secret");

    world.set_env(app.id, "LEVEL", "info", false, All).await.unwrap();
    world.set_env(app.id, "OWN", "new", true, All).await.unwrap();
    world.set_env(app.id, "THEIRS", "", false, Production).await.unwrap();
    let now = entries(&[
        ("LEVEL", "info", All),
        ("OWN", MASK, All),
        ("THEIRS", "", Production),
        ("THEIRS", MASK, Preview),
    ]);
    assert_eq!(world.env(app.id).await, now);

    let unset =
        async |key: &str, scope| world.deploy.env_unset(world.org, app.id, key, scope).await;
    unset("THEIRS", All).await.unwrap();
    unset("OWN", Preview).await.unwrap();
    let now = entries(&[("LEVEL", "info", All), ("OWN", MASK, Production)]);
    assert_eq!(world.env(app.id).await, now);
    for (key, scope) in [("OWN", Preview), ("THEIRS", All), ("../x", All)] {
        assert_eq!(unset(key, scope).await.unwrap_err().code, Code::NotFound, "{key}");
    }

    // All at once: the rest of the other environment stays.
    let change = serde_json::from_str::<UpdateApp>(r#"{"env": {"ONLY": "x"}}"#).unwrap();
    world.deploy.app_update(world.org, app.id, change).await.unwrap();
    let now = entries(&[("LEVEL", "info", Preview), ("ONLY", MASK, Production)]);
    assert_eq!(world.env(app.id).await, now);

    let nobody = world.deploy.env_list(world.org, AppId::new()).await.unwrap_err();
    assert_eq!(nobody.code, Code::NotFound);
    let other = world.deploy.env_list(pando_types::OrgId::new(), app.id).await.unwrap_err();
    assert_eq!(other.code, Code::NotFound);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let half = "x".repeat(MAX_APP_ENV_BYTES / 2);
    world.set_env(app.id, "HALF", &half, false, Preview).await.unwrap();
    let before = world.env(app.id).await;
    let long = "N".repeat(MAX_ENV_NAME_BYTES + 1);
    for (key, value, field) in [
        ("", "x", "key"),
        ("1A", "x", "key"),
        ("A-B", "x", "key"),
        (long.as_str(), "x", "key"),
        ("A", "\0", "value"),
        ("A", half.as_str(), "value"),
    ] {
        let error = world.set_env(app.id, key, value, false, All).await.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some(field)));
    }
    let huge = format!("#{}", "x".repeat(MAX_DOTENV_BYTES));
    let full = format!("A=1\nB={half}{half}");
    for (text, why) in [
        ("A=1\nB", "line 2: "),
        ("A=1\n\n1=x", "line 3: `1`"),
        ("A=1\nB='\0'", "line 2: the value of `B`"),
        ("A='", "line 1: "),
        (full.as_str(), "64 KiB"),
        (huge.as_str(), "256 KiB"),
    ] {
        let error = world.import_env(app.id, text).await.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some("dotenv")));
        assert!(error.message.contains(why), "{}", error.message);
    }
    assert_eq!(world.env(app.id).await, before);
    // Its own deployments have room for it still.
    world.set_env(app.id, "A", &half, false, Production).await.unwrap();
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_do_not_lose_each_other() {
    let world = World::new().await;
    let app = world.app(|_| {}).await;
    world.ended(app.id).await;
    let keys: Vec<String> = (0..100).map(|number| format!("K{number:03}")).collect();
    let sets = keys.iter().map(|key| world.set_env(app.id, key, key, false, All));
    assert!(join_all(sets).await.iter().all(Result::is_ok));
    let all: Vec<_> = keys.iter().map(|key| (key.clone(), key.clone(), All)).collect();
    assert_eq!(world.env(app.id).await, all);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_given_what_is_for_previews_and_the_app_the_rest() {
    let world = World::new().await;
    let app = world.app(|app| app.build_command = Some("env -0 > seen; env".into())).await;
    world.ended(app.id).await;
    let head = world.repo.commit("blue", &[("index.html", b"blue")], "blue").await.unwrap();
    let number = world.repo.open_pull_request("blue", "main", "Blue").await.unwrap().number;
    world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    let preview = world.previews().await.remove(0);
    world.ended(preview.id).await;

    world.set_env(app.id, "WHERE", "production", true, Production).await.unwrap();
    world.set_env(app.id, "WHERE", "preview", false, Preview).await.unwrap();
    world.set_env(app.id, "BOTH", "everywhere", false, All).await.unwrap();
    world.set_env(app.id, "OWN", "mine alone", true, All).await.unwrap();
    world.set_env(app.id, "OWN", "mine alone", true, Production).await.unwrap();
    let theirs = entries(&[("BOTH", "everywhere", Preview), ("WHERE", "preview", Preview)]);
    assert_eq!(world.env(preview.id).await, theirs);
    let refused = [
        world.set_env(preview.id, "A", "x", false, All).await.unwrap_err(),
        world.import_env(preview.id, "A=x").await.unwrap_err(),
        world.deploy.env_unset(world.org, preview.id, "BOTH", All).await.unwrap_err(),
    ];
    assert!(refused.iter().all(|error| error.code == Code::Conflict));

    // Nothing was deployed by that.
    assert_eq!(world.deployments(app.id).await.len(), 1);
    assert_eq!(world.deployments(preview.id).await.len(), 1);
    for (which, word) in [(&app, Some("production")), (&preview, Some("preview"))] {
        world.new_deployment(which.id, CreateDeployment::default()).await.unwrap();
        let deployment = world.ended(which.id).await;
        assert_eq!(deployment.status, DeploymentStatus::Live, "{deployment:?}");
        let seen = world.seen(which);
        assert_eq!(seen.get("WHERE").map(String::as_str), word);
        assert_eq!(seen.get("BOTH").map(String::as_str), Some("everywhere"));
        assert_eq!(seen.contains_key("OWN"), which.id == app.id);
        // Secrets are not in the log, and what is none may be.
        let log = deployment.build_logs.unwrap();
        assert!(log.contains("BOTH=everywhere"), "{log}");
        assert_eq!(log.contains("WHERE=[hidden]"), which.id == app.id, "{log}");
        assert!(!log.contains("mine alone"), "{log}");
    }

    // A preview that comes later has the same.
    let head = world.repo.commit("red", &[("index.html", b"red")], "red").await.unwrap();
    let number = world.repo.open_pull_request("red", "main", "Red").await.unwrap().number;
    world.webhook("pull_request", &world.pull("opened", number, &head)).await;
    let mut previews = world.previews().await;
    let later =
        previews.remove(previews.iter().position(|it| it.pr_number == Some(number)).unwrap());
    assert_eq!(world.env(later.id).await, theirs);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_values_arrive_byte_for_byte() {
    let world = World::new().await;
    let app = world.app(|app| app.build_command = Some("env -0 > seen".into())).await;
    world.ended(app.id).await;
    let awkward = [
        "$HOME ${PATH} $$ $(id) `id` %d \\$x",
        "a'b\"c\\d\\n",
        " spaced \t",
        "line\nline\r\nline\n",
        "#=#;&|<>*?[]{}!~",
        "ä\u{1f333}\u{feff}\u{7f}",
        "",
    ];
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let lines = awkward.iter().enumerate();
    let text: String =
        lines.map(|(at, value)| format!("export V{at}=\"{}\" # {at}\r\n", escape(value))).collect();
    let count = awkward.len();
    assert_eq!(world.import_env(app.id, &text).await.unwrap(), (count, count));
    assert_eq!(world.import_env(app.id, "TWICE=1\nTWICE=2").await.unwrap(), (1, 2));
    assert_eq!(world.import_env(app.id, "# nothing").await.unwrap(), (0, 0));
    world.new_deployment(app.id, CreateDeployment::default()).await.unwrap();
    assert_eq!(world.ended(app.id).await.status, DeploymentStatus::Live);
    let seen = world.seen(&app);
    for (at, value) in awkward.iter().enumerate() {
        assert_eq!(seen.get(&format!("V{at}")).map(String::as_str), Some(*value));
    }
    assert_eq!(seen["TWICE"], "2");
    world.finish().await;
}
