//! Whose repository is asked for, with what to prove that it may be read, and how git is
//! told: never in arguments or variables, which others on this host can read.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pando_types::OrgId;

use super::host::HostPort;
use super::mirror::MIRROR;
use super::program::is_proxied;
use super::scratch::Scratch;
use super::{GitError, GitUrl};
use crate::Secret;

/// Whom a forge takes the bearer of a token for, where the token says it all.
const TOKEN_USER: &str = "x-access-token";
/// The keys of ssh hosts, as they were when they were first met.
const KNOWN_HOSTS: &str = "known_hosts";
/// What ssh does and what it leaves: nothing of this user's, and nobody is asked.
const SSH_OPTIONS: [&str; 17] = [
    "BatchMode=yes",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "StrictHostKeyChecking=accept-new",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "ProxyCommand=none",
    "PermitLocalCommand=no",
    "CanonicalizeHostname=no",
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ConnectTimeout=15",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=2",
    "LogLevel=ERROR",
];

/// What proves to a forge that a repository may be read.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// For https: a token, or `user:token`.
    Token(Secret),
    /// For ssh: a private key as OpenSSH writes it.
    Key(Secret),
}

/// A repository as one org may read it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub url: GitUrl,
    pub org: OrgId,
    credential: Option<Credential>,
}

impl Source {
    /// A credential of another transport than the address' is none.
    pub(crate) fn new(url: GitUrl, org: OrgId, credential: Option<Credential>) -> Self {
        let credential = credential.filter(|it| matches!(it, Credential::Key(_)) == url.is_ssh());
        Self { url, org, credential }
    }

    /// Another repository, as seen from this one: the credential goes along to the same
    /// host alone.
    pub(super) fn beside(&self, url: GitUrl) -> Self {
        let credential = self.credential.clone().filter(|_| self.url.is_beside(&url));
        Self { url, org: self.org, credential }
    }

    /// The same for all to see.
    pub(super) fn without_credential(self) -> Self {
        Self { credential: None, ..self }
    }

    pub(super) fn has_credential(&self) -> bool {
        self.credential.is_some()
    }

    /// The name of its mirror's folder.
    pub(super) fn mirror(&self) -> String {
        mirror(self.org, &self.url, self.has_credential())
    }

    /// The user and password for https.
    pub(super) fn login(&self) -> Option<(String, String)> {
        let Some(Credential::Token(token)) = &self.credential else { return None };
        let (user, token) = match token.reveal().split_once(':') {
            Some((user, token)) => (user, token),
            None => (TOKEN_USER, token.reveal()),
        };
        Some((user.to_owned(), token.to_owned()))
    }

    /// The value of an `Authorization` header.
    pub(super) fn authorization(&self) -> Option<String> {
        let (user, token) = self.login()?;
        Some(format!("Basic {}", STANDARD.encode(format!("{user}:{token}"))))
    }
}

/// The name of a mirror's folder. Each org has its own, and what was read with a credential
/// is kept apart from what anyone may read: knowing an address opens neither.
pub(super) fn mirror(org: OrgId, url: &GitUrl, is_private: bool) -> String {
    let access = if is_private { "private" } else { "public" };
    let key = format!("{org} {access} {}", url.mirror_key());
    format!("{}.{MIRROR}", &blake3::hash(key.as_bytes()).to_hex()[..32])
}

/// The settings with which git may reach one address, and nothing else.
#[derive(Debug)]
pub(super) struct Transport {
    pub config: Vec<String>,
    pub variables: Vec<(&'static str, OsString)>,
    /// Holds the credential until git has ended.
    _scratch: Option<Scratch>,
}

impl Transport {
    /// To `source`, once it is known that its host may be reached; `root` is the folder of
    /// the mirrors.
    pub(super) async fn to(
        source: &Source,
        root: &Path,
        allowed: &[HostPort],
    ) -> Result<Self, GitError> {
        let url = &source.url;
        let mut config = vec![format!("protocol.{}.allow=always", url.protocol())];
        if url.is_ssh() {
            // A proxy for the web does not carry ssh.
            let addresses = url.check(allowed, false).await?.unwrap_or_default();
            let Some(Credential::Key(key)) = &source.credential else {
                return Err(GitError::NoKey(url.host().to_owned()));
            };
            let scratch = Scratch::new(root).map_err(GitError::Folder)?;
            let file = scratch.write("key", key.reveal().as_bytes()).map_err(GitError::Folder)?;
            let command = ssh(url, &addresses, &file, &root.join(KNOWN_HOSTS));
            let variables = vec![
                ("GIT_SSH_COMMAND", OsString::from(command)),
                ("GIT_SSH_VARIANT", OsString::from("ssh")),
            ];
            return Ok(Self { config, variables, _scratch: Some(scratch) });
        }
        if let Some(addresses) = url.check(allowed, is_proxied()).await? {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let (host, port) = (url.host(), url.port());
            config.push(format!("http.curloptResolve={host}:{port}:{}", addresses.join(",")));
        }
        let mut kept = None;
        if let Some((user, token)) = source.login() {
            let scratch = Scratch::new(root).map_err(GitError::Folder)?;
            // git-credential-store(1): it answers for this scheme, host and port alone.
            let line = format!(
                "{}://{}:{}@{}:{}\n{}://{}:{}@{}\n",
                url.protocol(),
                encoded(&user),
                encoded(&token),
                url.host(),
                url.port(),
                url.protocol(),
                encoded(&user),
                encoded(&token),
                url.authority(),
            );
            let file = scratch.write("token", line.as_bytes()).map_err(GitError::Folder)?;
            config.push(format!(
                "credential.helper=store --file={}",
                quoted(&file.to_string_lossy())
            ));
            kept = Some(scratch);
        }
        Ok(Self { config, variables: Vec::new(), _scratch: kept })
    }
}

/// The command line with which git starts ssh. It connects to the address that was looked
/// at, and knows the host by its name.
fn ssh(url: &GitUrl, addresses: &[IpAddr], key: &Path, known_hosts: &Path) -> String {
    let mut words = vec!["ssh".to_owned(), "-F".into(), "/dev/null".into(), "-i".into()];
    words.push(quoted(&key.to_string_lossy()));
    let alias = match url.port() {
        22 => url.host().to_owned(),
        port => format!("[{}]:{port}", url.host().trim_matches(['[', ']'])),
    };
    let mut options: Vec<String> = SSH_OPTIONS.map(str::to_owned).to_vec();
    options.push(format!("UserKnownHostsFile=\"{}\"", known_hosts.to_string_lossy()));
    options.push(format!("HostKeyAlias={alias}"));
    // It takes one. Most hosts can go by IPv4.
    let address = addresses.iter().find(|it| it.is_ipv4()).or(addresses.first());
    if let Some(address) = address {
        options.push(format!("HostName={address}"));
    }
    for option in options {
        words.extend(["-o".to_owned(), quoted(&option)]);
    }
    words.join(" ")
}

/// As one word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// With all but letters and digits in percent.
fn encoded(text: &str) -> String {
    let letter = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_told_all_and_each_word_is_one() {
        let url = GitUrl::parse("ssh://git@forge.example:2222/a/b", &[]).unwrap();
        let addresses = ["2001:4860::1".parse().unwrap(), "192.0.2.7".parse().unwrap()];
        let command =
            ssh(&url, &addresses, Path::new("/data/it's/key"), Path::new("/data/it's/known_hosts"));
        let words = std::process::Command::new("/bin/sh")
            .args(["-c", &format!("printf '%s\\n' {command}")])
            .output()
            .unwrap();
        let words = String::from_utf8(words.stdout).unwrap();
        let words: Vec<&str> = words.lines().collect();
        assert_eq!(words[..5], ["ssh", "-F", "/dev/null", "-i", "/data/it's/key"]);
        for option in SSH_OPTIONS.into_iter().chain([
            "UserKnownHostsFile=\"/data/it's/known_hosts\"",
            "HostKeyAlias=[forge.example]:2222",
            "HostName=192.0.2.7",
        ]) {
            let at = words.iter().position(|word| *word == option).unwrap();
            assert_eq!(words[at - 1], "-o", "{option}");
        }
        assert_eq!(words.len(), 5 + 2 * (SSH_OPTIONS.len() + 3));
    }

    #[test]
    fn a_credential_goes_to_its_own_host_alone() {
        let url = |text: &str| GitUrl::parse(text, &[]).unwrap();
        let token = || Some(Credential::Token(Secret::new("t0ken")));
        let key = || Some(Credential::Key(Secret::new("key")));
        let org = OrgId::new();
        let source = Source::new(url("https://forge.example/a/b"), org, token());
        let beside = |text: &str| source.beside(url(text)).has_credential();
        assert!(source.has_credential() && beside("https://forge.example/c/d"));
        for other in [
            "https://forge.example:8443/c/d",
            "https://git.forge.example/c/d",
            "git@forge.example:c/d",
            "https://forge.example.evil/a/b",
        ] {
            assert!(!beside(other), "{other}");
        }
        assert!(!Source::new(url("https://forge.example/a/b"), org, key()).has_credential());
        assert!(!Source::new(url("git@forge.example:a/b"), org, token()).has_credential());
        assert!(Source::new(url("git@forge.example:a/b"), org, key()).has_credential());
        assert_eq!(source.login().unwrap(), ("x-access-token".into(), "t0ken".into()));
        let source = Source::new(
            url("https://x.example/a/b"),
            org,
            Some(Credential::Token(Secret::new("me:a:b"))),
        );
        assert_eq!(source.login().unwrap(), ("me".into(), "a:b".into()));
        assert!(!format!("{source:?}").contains("a:b"));
    }

    #[test]
    fn mirrors_of_orgs_and_of_what_is_private_are_apart() {
        let url = GitUrl::parse("https://forge.example/a/b", &[]).unwrap();
        let (one, other) = (OrgId::new(), OrgId::new());
        let names = [(one, true), (one, false), (other, true), (other, false)]
            .map(|(org, is_private)| mirror(org, &url, is_private));
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
    }
}
