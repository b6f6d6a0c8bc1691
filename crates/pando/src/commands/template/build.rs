//! `pando template build`.

use std::path::PathBuf;

use anyhow::Context;
use pando_types::template::{TemplateBuild, TemplateBuildStatus};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};
use tokio_util::io::ReaderStream;

use super::context;
use crate::client::{Client, ClientArgs, read};
use crate::error::Failure;
use crate::output;

/// Looked for where no file is named, in this order; the field that its text goes in.
const FILES: [(&str, &str); 2] = [("Dockerfile", "dockerfile"), ("template.toml", "template_toml")];
/// Tells the permission bits of a file.
const MODE_HEADER: &str = "x-pando-mode";

/// What to build, of what.
#[derive(Debug, clap::Args)]
pub struct BuildArgs {
    /// The template's name: lower-case letters, digits and dashes
    name: String,
    /// The folder whose files the Dockerfile may copy
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The Dockerfile, or a list of steps whose name ends in .toml [default: DIR/Dockerfile, else
    /// DIR/template.toml]
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// vCPUs of its sandboxes [default: 2]
    #[arg(long)]
    cpu: Option<u32>,
    /// Memory of its sandboxes in MiB [default: 2048]
    #[arg(long, alias = "memory")]
    memory_mb: Option<u32>,
    /// The size of its root disk in MiB; it takes only what is written
    #[arg(long, alias = "size", default_value_t = 4096)]
    size_mb: u32,
}

/// Builds, with the log as it comes; prints the name, or the build as JSON.
pub async fn run(client: &ClientArgs, args: BuildArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let form = form(&args).await?;
    let request = api.request(Method::POST, "/templates/build").multipart(form);
    let response = api.send(request).await?;
    let answer = response.text().await.context("the server's answer")?;
    let answer = serde_json::from_str(&answer).context("the server's answer")?;
    let build: TemplateBuild = read(&answer)?;
    let path = format!("/templates/builds/{}", build.id);
    follow(&api, &path).await?;
    let answer = api.get(&path).await?;
    if client.json {
        output::json(&answer)?;
    }
    let build: TemplateBuild = read(&answer)?;
    if build.status == TemplateBuildStatus::Done {
        return if client.json { Ok(()) } else { output::line(&build.name) };
    }
    let why = build.error.unwrap_or_else(|| "it did not end".to_owned());
    let hint = if why.contains("size_mb") {
        "build it with a greater --size-mb"
    } else {
        "mend that and build again; a template of that name stays as it was until then"
    };
    let error = anyhow::Error::msg(output::printable(&why));
    Err(Failure::new(error.context(format!("template {} was not built", build.name)), hint))
}

/// The log goes to whoever watches: what is printed is the outcome.
async fn follow(api: &Client, path: &str) -> Result<(), Failure> {
    let logs = api.request(Method::GET, &format!("{path}/logs?follow=1"));
    let mut events = api.events(logs).await?;
    while let Some(event) = events.next().await? {
        if event.name.is_empty() && event.data == "end" {
            break;
        }
        output::say(&output::printable(&event.data));
    }
    Ok(())
}

async fn form(args: &BuildArgs) -> Result<Form, Failure> {
    let (path, field) = source(args)?;
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    // What is no file comes first: it tells what the files are.
    let mut form = Form::new()
        .text("name", args.name.clone())
        .text("size_mb", args.size_mb.to_string())
        .text(field, text);
    for (field, value) in [("cpu", args.cpu), ("memory_mb", args.memory_mb)] {
        if let Some(value) = value {
            form = form.text(field, value.to_string());
        }
    }
    for file in context::files(&args.dir)? {
        let opened = tokio::fs::File::open(&file.path).await;
        let opened = opened.with_context(|| file.path.display().to_string())?;
        let body =
            Body::wrap_stream(ReaderStream::new(tokio::io::AsyncReadExt::take(opened, file.bytes)));
        let mode =
            HeaderValue::from_str(&format!("{:o}", file.mode)).map_err(anyhow::Error::new)?;
        let part = Part::stream_with_length(body, file.bytes).file_name(file.name.clone()).headers(
            HeaderMap::from_iter([(MODE_HEADER.parse().map_err(anyhow::Error::new)?, mode)]),
        );
        form = form.part(file.name, part);
    }
    Ok(form)
}

/// The file to build of, and the field that its text goes in.
fn source(args: &BuildArgs) -> Result<(PathBuf, &'static str), Failure> {
    if let Some(file) = &args.file {
        let is_toml = file.extension().is_some_and(|extension| extension == "toml");
        return Ok((file.clone(), if is_toml { "template_toml" } else { "dockerfile" }));
    }
    let found = FILES.iter().map(|(name, field)| (args.dir.join(name), *field));
    found.into_iter().find(|(path, _)| path.is_file()).ok_or_else(|| {
        let dir = args.dir.display();
        let message = format!("{dir} holds neither a Dockerfile nor a template.toml");
        Failure::usage(message, "name one with --file")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let args = |file: Option<&str>| BuildArgs {
            name: "x".into(),
            dir: folder.path().into(),
            file: file.map(PathBuf::from),
            cpu: None,
            memory_mb: None,
            size_mb: 1,
        };
        assert!(source(&args(None)).is_err());
        assert_eq!(source(&args(Some("a/b.toml"))).unwrap().1, "template_toml");
        assert_eq!(source(&args(Some("a/Dockerfile.dev"))).unwrap().1, "dockerfile");
        std::fs::write(folder.path().join("template.toml"), "").unwrap();
        assert_eq!(source(&args(None)).unwrap().1, "template_toml");
        std::fs::write(folder.path().join("Dockerfile"), "").unwrap();
        assert_eq!(source(&args(None)).unwrap(), (folder.path().join("Dockerfile"), "dockerfile"));
    }
}
