//! Whole creates, from the HTTP request to the first command's answer, and where
//! the time goes.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use crate::sample::Sample;
use crate::server::Server;

#[derive(Debug, Default)]
pub(crate) struct Create {
    create: Sample,
    first_exec: Sample,
    whole: Sample,
    pub exec: Sample,
    delete: Sample,
    files: Sample,
    spawn: Sample,
    ready: Sample,
}

impl Create {
    /// Adds those of another turn.
    pub(crate) fn extend(&mut self, other: Self) {
        self.whole.extend(other.whole);
        self.create.extend(other.create);
        self.first_exec.extend(other.first_exec);
        self.exec.extend(other.exec);
        self.delete.extend(other.delete);
        self.files.extend(other.files);
        self.spawn.extend(other.spawn);
        self.ready.extend(other.ready);
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'static str, &Sample)> {
        [
            ("create → first exec answered, through the API", &self.whole),
            ("- create, through the API", &self.create),
            ("- - in it: files (folder, reflinked disk)", &self.files),
            ("- - in it: VMM process started, intent on disk", &self.spawn),
            ("- - in it: load, resume, identity, `ready`", &self.ready),
            ("- first exec of `true`", &self.first_exec),
            ("exec of `true` again", &self.exec),
            ("delete", &self.delete),
        ]
        .into_iter()
    }
}

pub(crate) async fn measure(
    data: &Path,
    pool: Ipv4Addr,
    warm_slots: &str,
    runs: usize,
) -> anyhow::Result<Create> {
    let server = Server::start(data, pool, warm_slots).await?;
    let mut measured = Create::default();
    // The first warms the page cache and is not counted.
    for run in 0..=runs {
        let begun = Instant::now();
        let create =
            server.request(Method::POST, "/v1/sandboxes").json(&json!({ "template": "base" }));
        let made: Value = create.send().await?.error_for_status()?.json().await?;
        let created = begun.elapsed();
        let path = format!("/v1/sandboxes/{}", made["id"].as_str().context("no id")?);
        let exec = || {
            server.request(Method::POST, &format!("{path}/exec")).json(&json!({ "cmd": "true" }))
        };
        exec().send().await?.error_for_status()?;
        let whole = begun.elapsed();
        let again = Instant::now();
        exec().send().await?.error_for_status()?;
        let exec = again.elapsed();
        let ending = Instant::now();
        server.request(Method::DELETE, &path).send().await?.error_for_status()?;
        if run > 0 {
            measured.create.push(created);
            measured.first_exec.push(whole - created);
            measured.whole.push(whole);
            measured.exec.push(exec);
            measured.delete.push(ending.elapsed());
        }
    }
    let log = server.finish()?;
    for line in log.lines().filter(|line| line.contains("restored")).skip(1) {
        for (field, sample) in [
            ("files_us", &mut measured.files),
            ("spawn_us", &mut measured.spawn),
            ("ready_us", &mut measured.ready),
        ] {
            if let Some(micros) = number(line, field) {
                sample.push(Duration::from_micros(micros));
            }
        }
    }
    Ok(measured)
}

/// The number in `field=123` of a log line.
fn number(line: &str, field: &str) -> Option<u64> {
    let rest = line.split_once(&format!("{field}="))?.1;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}
