//! `pando sandbox cp`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use pando_types::SandboxId;
use pando_types::sandbox::{FileInfo, FileWritten};
use reqwest::{Body, Method};
use serde_json::json;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use crate::client::{Client, ClientArgs, ClientError, read};
use crate::error::Failure;
use crate::output::{self, Progress};

/// From where to where; one of them in a sandbox.
#[derive(Debug, clap::Args)]
pub struct CpArgs {
    /// A file here, or ID:/path
    from: Place,
    /// A file or folder here, or ID:/path (or ID:/folder/)
    to: Place,
}

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Here(PathBuf),
    There { sandbox: SandboxId, path: String },
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((id, path)) = text.split_once(':') else {
            return Ok(Self::Here(text.into()));
        };
        match id.parse() {
            Ok(sandbox) if path.starts_with('/') => {
                Ok(Self::There { sandbox, path: path.to_owned() })
            }
            Ok(_) => Err(format!("the path in the sandbox must be absolute: {id}:/{path}")),
            // A file whose name holds a colon.
            Err(_) => Ok(Self::Here(text.into())),
        }
    }
}

/// Copies; says how much on stderr, or prints `{"path", "bytes"}`.
pub async fn run(client: &ClientArgs, args: CpArgs) -> Result<(), Failure> {
    let api = client.client()?;
    let progress = Progress::start("copying");
    let written = match (args.from, args.to) {
        (Place::Here(from), Place::There { sandbox, path }) => {
            upload(&api, &from, sandbox, &path).await?
        }
        (Place::There { sandbox, path }, Place::Here(to)) => {
            download(&api, sandbox, &path, &to).await?
        }
        _ => {
            let message = "one of the two must be in a sandbox, and one here";
            return Err(Failure::usage(
                message,
                "pando sandbox cp ./file ID:/path/file, or the other way",
            ));
        }
    };
    drop(progress);
    if client.json {
        return output::json(&json!({"path": written.path, "bytes": written.bytes}));
    }
    output::say(&format!("{} bytes to {}", written.bytes, written.path));
    Ok(())
}

async fn upload(
    api: &Client,
    from: &Path,
    sandbox: SandboxId,
    path: &str,
) -> Result<FileWritten, Failure> {
    let cannot = || format!("cannot read {}", from.display());
    let file = File::open(from).await.with_context(cannot).map_err(local)?;
    if file.metadata().await.with_context(cannot).map_err(local)?.is_dir() {
        let here = from.display();
        return Err(Failure::usage(
            format!("{here} is a folder; cp copies one file"),
            format!(
                "tar -cf x.tar -C {here} . && pando sandbox cp x.tar {sandbox}:/tmp/x.tar && \
                 pando sandbox exec {sandbox} -- tar -xf /tmp/x.tar -C {path}"
            ),
        ));
    }
    let path = match from.file_name() {
        Some(name) if path.ends_with('/') => format!("{path}{}", name.to_string_lossy()),
        _ => path.to_owned(),
    };
    let request = api
        .request(Method::PUT, &format!("/sandboxes/{sandbox}/fs"))
        .query(&[("path", &path)])
        .header("content-type", "application/octet-stream")
        .body(Body::wrap_stream(ReaderStream::new(file)));
    let answer = api.send(request).await?.json().await.map_err(ClientError::Broken)?;
    Ok(read(&answer)?)
}

async fn download(
    api: &Client,
    sandbox: SandboxId,
    path: &str,
    to: &Path,
) -> Result<FileWritten, Failure> {
    let query = [("path", path)];
    let stat = api.request(Method::GET, &format!("/sandboxes/{sandbox}/fs/stat")).query(&query);
    let stat: FileInfo = api.send(stat).await?.json().await.map_err(ClientError::Broken)?;
    if stat.is_dir {
        return Err(Failure::usage(
            format!("{path} is a folder; cp copies one file"),
            format!(
                "pando sandbox exec {sandbox} -- tar -cf /tmp/x.tar -C {path} . && \
                 pando sandbox cp {sandbox}:/tmp/x.tar x.tar"
            ),
        ));
    }
    let to = if to.is_dir() { to.join(&stat.name) } else { to.to_owned() };
    let request = api.request(Method::GET, &format!("/sandboxes/{sandbox}/fs")).query(&query);
    let mut response = api.send(request).await?;
    // Beside the target and renamed over it: a copy that breaks off leaves what was there.
    let mut part = to.clone().into_os_string();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let copied = receive(&mut response, &part).await;
    let done = match copied {
        Ok(bytes) => tokio::fs::rename(&part, &to)
            .await
            .with_context(|| format!("cannot write {}", to.display()))
            .map_err(local)
            .map(|()| bytes),
        Err(failure) => Err(failure),
    };
    if done.is_err() {
        let _ = tokio::fs::remove_file(&part).await;
    }
    Ok(FileWritten { path: to.display().to_string(), bytes: done? })
}

async fn receive(response: &mut reqwest::Response, part: &Path) -> Result<u64, Failure> {
    let cannot = || format!("cannot write {}", part.display());
    let mut file = File::create_new(part).await.with_context(cannot).map_err(local)?;
    let mut bytes = 0;
    while let Some(piece) = response.chunk().await.map_err(ClientError::Broken)? {
        file.write_all(&piece).await.with_context(cannot).map_err(local)?;
        bytes += u64::try_from(piece.len()).unwrap_or(0);
    }
    file.flush().await.with_context(cannot).map_err(local)?;
    Ok(bytes)
}

fn local(error: anyhow::Error) -> Failure {
    Failure::new(error, "check the path, its permissions and the room on this disk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_makes_a_place_a_sandboxes() {
        let id = SandboxId::new();
        let there = Place::There { sandbox: id, path: "/srv/a:b".into() };
        assert_eq!(format!("{id}:/srv/a:b").parse(), Ok(there));
        assert_eq!("./a:b".parse(), Ok(Place::Here("./a:b".into())));
        assert_eq!("notes.txt".parse(), Ok(Place::Here("notes.txt".into())));
        assert!(format!("{id}:relative").parse::<Place>().is_err());
    }
}
