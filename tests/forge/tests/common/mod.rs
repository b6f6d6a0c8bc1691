//! A stand-in in a folder of its own, a receiver of its webhooks, and a user's git.

#![allow(dead_code, reason = "every test file is a program of its own, and none uses all of this")]

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use pando_forge::contract::Contract;
use pando_forge::{Delivery, Forge, Recording, Repo, Settings, Webhook};
use tempfile::TempDir;
use tokio::process::Command;

pub const TOKEN: &str = "the-token-of-the-tests";
pub const SECRET: &str = "the-secret-of-the-tests";
/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub struct World {
    pub forge: Forge,
    pub repo: Repo,
    received: Arc<Mutex<Vec<Received>>>,
    receiver: tokio::task::JoinHandle<()>,
    pub folder: TempDir,
}

impl World {
    /// A stand-in with the repository `pando/hello`, whose webhooks are answered 202.
    pub async fn start() -> Self {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let app = Router::new().fallback(take).with_state(Arc::clone(&received));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            recording: Recording::On,
            webhook: Some(Webhook { url, secret: SECRET.to_owned() }),
            ..Settings::new(folder.path().join("forge"), TOKEN)
        };
        let forge = Forge::start(settings).await.unwrap();
        let files: &[(&str, &[u8])] = &[("README.md", b"# hello\n"), ("src/app.js", b"1;\n")];
        let repo = forge.create_repo("pando/hello", files, "main").await.unwrap();
        Self { forge, repo, received, receiver, folder }
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits for the webhooks of what was pushed by git.
    pub async fn deliveries(&self, count: usize) -> Vec<Delivery> {
        let waited = self.forge.wait_for_deliveries(count);
        tokio::time::timeout(PATIENCE, waited).await.expect("the webhooks in time")
    }

    /// Every exchange so far was one that GitHub could have had.
    pub fn holds_the_contract(&self) {
        let exchanges = self.forge.exchanges();
        assert!(!exchanges.is_empty(), "nothing was said");
        for exchange in exchanges {
            contract().check(&exchange).unwrap_or_else(|breach| panic!("{breach}"));
        }
    }

    pub async fn finish(self) {
        self.forge.stop().await;
        self.receiver.abort();
    }
}

/// GitHub's document, read once in a program.
fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| Contract::load().unwrap_or_else(|error| panic!("{error}")))
}

async fn take(
    State(received): State<Arc<Mutex<Vec<Received>>>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    received.lock().unwrap().push(Received { headers, body });
    (StatusCode::ACCEPTED, "taken")
}

/// Runs a user's git, who has no configuration, and returns whether it succeeded and what it said.
pub async fn git(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .args(["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .env_remove("all_proxy")
        .env_remove("ALL_PROXY")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .expect("git in time")
        .expect("git is installed");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).trim().to_owned())
}

/// The same where failure is not expected.
pub async fn git_ok(folder: &Path, arguments: &[&str]) -> String {
    let (succeeded, said) = git(folder, arguments).await;
    assert!(succeeded, "git {arguments:?}: {said}");
    said
}
