//! Which server to ask, and with which key.

use std::path::{Path, PathBuf};

use reqwest::Url;

use super::{CONNECT_TIMEOUT, Client, ClientError, SILENCE_TIMEOUT};
use crate::error::Failure;

/// The key that the first `pando serve` leaves in its data folder.
const ADMIN_KEY_FILE: &str = "admin.key";
/// The variable that holds a key. There is no flag: arguments are seen by every user of a machine.
const KEY_VARIABLE: &str = "PANDO_API_KEY";

/// What every command that asks the API takes.
#[derive(Debug, Clone, clap::Args)]
pub struct ClientArgs {
    /// The server; the key comes from PANDO_API_KEY, or on the server's own machine from its data folder
    #[arg(long, env = "PANDO_API_URL", default_value = "http://127.0.0.1:7070", global = true)]
    pub api_url: String,
    /// The data folder of a server on this machine
    #[arg(long, env = "PANDO_DATA", default_value = "/var/lib/pando", global = true)]
    pub data: PathBuf,
    /// Print what the API says, as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

impl ClientArgs {
    /// The client of that server.
    pub fn client(&self) -> Result<Client, Failure> {
        let url = Url::parse(&self.api_url).ok();
        let url = url.filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| ClientError::Url(self.api_url.clone()))?;
        let preset = std::env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty());
        let key = match preset {
            Some(key) => key,
            None => admin_key(&url, &self.data)?,
        };
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT.max(super::ANSWER_TIMEOUT));
        if is_this_machine(&url) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(anyhow::Error::new)?;
        let url = self.api_url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        Ok(Client { http, url, key })
    }
}

/// The key of a server on this machine. It is never sent to another.
fn admin_key(url: &Url, data: &Path) -> Result<String, Failure> {
    let no_key = |why: String| {
        Failure::usage(
            format!("no API key: {KEY_VARIABLE} is not set, and {why}"),
            format!(
                "set {KEY_VARIABLE}; on the server's machine, `pando key create LABEL` makes a key"
            ),
        )
    };
    if !is_this_machine(url) {
        return Err(no_key(format!("{url} is not on this machine")));
    }
    let path = data.join(ADMIN_KEY_FILE);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| no_key(format!("{} cannot be read ({error})", path.display())))?;
    Ok(text.trim().to_owned())
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_key_stays_on_this_machine() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join(ADMIN_KEY_FILE), "pando_key\n").unwrap();
        let key = |url: &str| admin_key(&Url::parse(url).unwrap(), data.path()).ok();
        for here in ["http://127.0.0.1:7070", "http://localhost:1", "http://[::1]:7070"] {
            assert_eq!(key(here).as_deref(), Some("pando_key"), "{here}");
        }
        for elsewhere in ["https://pando.example", "http://10.0.0.1", "http://127.0.0.1.example"] {
            assert_eq!(key(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn without_a_key_the_error_says_where_it_was_sought() {
        let empty = tempfile::tempdir().unwrap();
        let failure = admin_key(&Url::parse("http://127.0.0.1").unwrap(), empty.path());
        assert!(format!("{:?}", failure.unwrap_err()).contains(ADMIN_KEY_FILE));
    }
}
