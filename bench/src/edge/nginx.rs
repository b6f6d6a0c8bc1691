//! nginx: the upstream, and the proxy to compare with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use super::Process;
use super::network::Network;

/// The page: 1 KiB.
const PAGE_BYTES: usize = 1024;

/// A running nginx.
#[derive(Debug)]
pub(super) struct Nginx {
    pub process: Process,
}

impl Nginx {
    /// Answers every request with the page, inside `network`.
    pub(super) fn upstream(
        folder: &Path,
        address: SocketAddr,
        network: &Network,
    ) -> anyhow::Result<Self> {
        debug_assert_eq!(address.ip(), network.inside());
        let page = "x".repeat(PAGE_BYTES);
        let config = format!(
            "worker_processes 1;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off;
                 keepalive_requests 1000000000;
                 server {{
                     listen {address};
                     location / {{ default_type text/html; return 200 {page}; }}
                 }}
             }}"
        );
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &Network::name()]).arg(program()?);
        Self::start(command, folder, "upstream", &config)
    }

    /// Proxies to `upstream` as the edge does: kept connections on both sides, and
    /// the same headers added.
    pub(super) fn proxy(
        folder: &Path,
        address: SocketAddr,
        upstream: SocketAddr,
    ) -> anyhow::Result<Self> {
        let config = format!(
            "worker_processes 2;
             events {{ worker_connections 1024; }}
             http {{
                 access_log off;
                 keepalive_requests 1000000000;
                 upstream app {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}
                 server {{
                     listen {address};
                     location / {{
                         proxy_pass http://app;
                         proxy_http_version 1.1;
                         proxy_set_header Connection '';
                         proxy_set_header Host $http_host;
                         proxy_set_header X-Forwarded-For $remote_addr;
                         proxy_set_header X-Forwarded-Host $http_host;
                         proxy_set_header X-Forwarded-Proto $scheme;
                         proxy_set_header X-Real-IP $remote_addr;
                         add_header X-Robots-Tag noindex;
                     }}
                 }}
             }}"
        );
        Self::start(Command::new(program()?), folder, "proxy", &config)
    }

    fn start(
        mut command: Command,
        folder: &Path,
        name: &str,
        config: &str,
    ) -> anyhow::Result<Self> {
        let folder = folder.join(name);
        std::fs::create_dir(&folder)?;
        let shown = folder.display();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {shown}/{kind};"))
            .concat();
        let config = config.replacen("http {", &format!("http {{ {paths}"), 1);
        let file = folder.join("nginx.conf");
        let general = format!("daemon off; pid {shown}/pid; error_log {shown}/error.log;");
        std::fs::write(&file, format!("{general}\n{config}\n"))?;
        let child = command
            .arg("-e")
            .arg(folder.join("error.log"))
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot start nginx")?;
        Ok(Self { process: Process(child) })
    }
}

/// nginx of the system, or the one that `scripts/fetch-nginx` unpacked.
fn program() -> anyhow::Result<PathBuf> {
    let fetched = std::env::current_exe()?.with_file_name("../nginx/usr/sbin/nginx");
    let known = [Path::new("/usr/sbin/nginx"), &fetched];
    known
        .into_iter()
        .find(|path| path.exists())
        .map(Path::to_owned)
        .context("no nginx: scripts/fetch-nginx gets it without installing a service")
}
