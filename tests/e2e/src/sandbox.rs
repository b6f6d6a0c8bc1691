//! One sandbox of a test, through the API.

use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::Server;

/// A sandbox that a test made.
pub struct Sandbox<'a> {
    pub(crate) server: &'a Server,
    /// Its id.
    pub id: String,
    /// What its creation answered.
    pub made: Value,
}

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code.
    pub exit_code: i64,
}

impl<'a> Sandbox<'a> {
    /// One that was made before, perhaps by an earlier process of the server.
    #[must_use]
    pub fn of(server: &'a Server, id: &str) -> Self {
        Self { server, id: id.to_owned(), made: Value::Null }
    }
    /// The path of one of its routes.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/sandboxes/{}{rest}", self.id)
    }

    /// The host under which the edge serves one of its ports.
    #[must_use]
    pub fn host(&self, port: u16) -> String {
        format!("{port}-{}.{}", self.id, self.server.suffix())
    }

    /// Runs a shell command.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn exec(&self, command: &str) -> anyhow::Result<Answer> {
        self.exec_with(json!({ "cmd": command })).await
    }

    /// Runs a command with these fields of the request.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn exec_with(&self, body: Value) -> anyhow::Result<Answer> {
        let request = self.server.request(Method::POST, &self.path("/exec")).json(&body);
        let answer = request.send().await?;
        let status = answer.status();
        let said: Value = answer.json().await?;
        ensure!(status.is_success(), "exec answered {status}: {said}");
        let text = |field: &str| said[field].as_str().map(str::to_owned).context("no output");
        Ok(Answer {
            stdout: text("stdout")?,
            stderr: text("stderr")?,
            exit_code: said["exit_code"].as_i64().context("no exit code")?,
        })
    }

    /// Runs a shell command that must succeed, and returns its output without the last newline.
    ///
    /// # Errors
    /// When it does not succeed.
    pub async fn sh(&self, command: &str) -> anyhow::Result<String> {
        let answer = self.exec(command).await?;
        ensure!(answer.exit_code == 0, "`{command}`: {answer:?}");
        Ok(answer.stdout.trim_end().to_owned())
    }

    /// Deletes it and returns the status.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn delete(&self) -> anyhow::Result<u16> {
        let answer = self.server.request(Method::DELETE, &self.path("")).send().await?;
        Ok(answer.status().as_u16())
    }
}
