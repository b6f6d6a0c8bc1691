//! A small server that answers as the API does, and the program that asks it.

use std::process::{Output, Stdio};

use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::JoinHandle;

pub const ID: &str = "6f1c1f3e-8f57-4b5e-9a51-6d1f0d5a7c11";
pub const KEY: &str = "pando_test";

/// The list of apps, in which there is one that is called `shop`.
pub fn shop() -> Router {
    let app = json!({
        "id": ID, "name": "shop", "git_url": "https://h/o/r", "git_branch": "main",
        "template": "base", "auto_deploy": true, "root_directory": "", "port": 3000, "cpu": 2,
        "memory_mb": 2048, "status": "running", "url": "http://shop.localhost",
        "is_preview": false, "created_at": "x", "updated_at": "x",
    });
    let list = json!({ "items": [app], "next_cursor": null });
    Router::new().route("/apps", get(async move || Json(list)))
}

/// The server, for as long as this lives.
pub struct Fake {
    pub url: String,
    task: JoinHandle<()>,
}

impl Fake {
    pub async fn start(routes: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().nest("/v1", routes);
        let task = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { url, task }
    }

    pub async fn pando(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pando"))
            .args(arguments)
            .env_clear()
            .env("PANDO_API_URL", &self.url)
            .env("PANDO_API_KEY", KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let feed = async move {
            // A command that reads no input may be gone already.
            let _ = input.write_all(stdin.as_bytes()).await;
        };
        tokio::join!(feed, child.wait_with_output()).1.unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
