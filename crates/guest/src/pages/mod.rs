//! `pando-pages`, the program that serves the files of a folder: the agent's own, under
//! another name. It is what a static site's machine runs.
//!
//! `site` says which file a path is answered with; this file listens.

mod site;

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use self::site::Site;

/// The name under which the agent's program is this one.
pub const PROGRAM: &str = "pando-pages";
const USAGE: &str = "\
pando-pages serves the files of a folder over HTTP.

usage: pando-pages [--port PORT] [--single-page] FOLDER
       --port PORT     where it listens; else $PORT, else 3000
       --single-page   answers what is no file with index.html, for the page to sort out";
const DEFAULT_PORT: u16 = 3000;
/// Connections at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;
/// How long a client may take to send the head of a request.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Between tries while the machine is out of something.
const RETRY: Duration = Duration::from_millis(100);

struct Wanted {
    port: u16,
    single_page: bool,
    folder: PathBuf,
}

/// Runs as that program, with the arguments after its name.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(wanted) = wanted(arguments, std::env::var("PORT").ok()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if !wanted.folder.is_dir() {
        eprintln!("pando-pages: {} is no folder", wanted.folder.display());
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| runtime.block_on(serve(&wanted)));
    let Err(error) = served;
    eprintln!("pando-pages: port {}: {error}", wanted.port);
    ExitCode::FAILURE
}

fn wanted(
    mut arguments: impl Iterator<Item = OsString>,
    environment: Option<String>,
) -> Option<Wanted> {
    let (mut port, mut single_page, mut folder) = (None, false, None);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--port") => port = Some(arguments.next()?.to_str()?.parse().ok()?),
            Some("--single-page") => single_page = true,
            Some(option) if option.starts_with('-') => return None,
            _ if folder.is_none() => folder = Some(PathBuf::from(argument)),
            _ => return None,
        }
    }
    let port = match (port, environment) {
        (Some(port), _) => port,
        (None, Some(text)) => text.parse().ok()?,
        (None, None) => DEFAULT_PORT,
    };
    Some(Wanted { port, single_page, folder: folder? })
}

async fn serve(wanted: &Wanted) -> io::Result<std::convert::Infallible> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), wanted.port);
    let listener = TcpListener::bind(address).await?;
    let site = Site::new(&wanted.folder, wanted.single_page);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
        match listener.accept().await {
            Ok((stream, _)) => {
                let site = site.clone();
                tokio::spawn(async move {
                    converse(stream, site).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

async fn converse(stream: TcpStream, site: Site) {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request| {
        let site = site.clone();
        async move { site.answer(request).await }
    });
    // Whoever leaves in the midst of an answer has had enough of it.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str], environment: Option<&str>) -> Option<(u16, bool, PathBuf)> {
        let wanted = wanted(words.iter().map(OsString::from), environment.map(str::to_owned))?;
        Some((wanted.port, wanted.single_page, wanted.folder))
    }

    #[test]
    fn the_port_is_said_or_in_the_environment() {
        let dist = || PathBuf::from("dist");
        assert_eq!(said(&["dist"], None), Some((3000, false, dist())));
        assert_eq!(said(&["dist"], Some("8080")), Some((8080, false, dist())));
        let all = ["--single-page", "dist", "--port", "81"];
        assert_eq!(said(&all, Some("8080")), Some((81, true, dist())));
        for wrong in [&["a", "b"][..], &[], &["--port"], &["--port", "x", "a"], &["-x", "a"]] {
            assert_eq!(said(wrong, None), None, "{wrong:?}");
        }
        assert_eq!(said(&["dist"], Some("many")), None);
    }
}
