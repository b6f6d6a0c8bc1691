//! Which repository addresses are taken, in one spelling.

use std::fmt;
use std::net::IpAddr;

use super::host::{self, HostPort};

/// The longest address.
const MAX_BYTES: usize = 512;
const MAX_USER_BYTES: usize = 64;
/// Who one is to a forge's ssh server.
const DEFAULT_USER: &str = "git";

/// An address that can be fetched from: `https://host/path`, `ssh://user@host/path` or
/// `user@host:path`; `http://` for a host that the operator allowed. No password, query
/// or fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GitUrl {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Scheme {
    Http,
    Https,
    /// As this user.
    Ssh(String),
    /// `user@host:path`: the path begins in the user's home there.
    Scp(String),
}

/// Why an address is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("a repository is named as https://host/owner/repo or git@host:owner/repo")]
    Form,
    #[error(
        "a repository's address holds no user or password: give the app a git_token, or a deploy key and an address like git@host:owner/repo"
    )]
    Credentials,
    #[error("`{0}` may only be reached over https:// or ssh://")]
    Plain(String),
    #[error("`{0}` is not a public address; the operator can allow it with --allow-git-host")]
    Private(String),
    #[error("`{0}` does not resolve to an address")]
    Unresolved(String),
}

impl GitUrl {
    /// Reads an address; whether the host may be reached is [`GitUrl::check`]ed apart.
    pub(crate) fn parse(text: &str, allowed: &[HostPort]) -> Result<Self, UrlError> {
        if text.len() > MAX_BYTES || text.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
            return Err(UrlError::Form);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let (authority, path) = text.split_once(':').ok_or(UrlError::Form)?;
            let (user, host) = authority.split_once('@').ok_or(UrlError::Form)?;
            return Self::with(Scheme::Scp(user_name(user)?), host, path);
        };
        let (authority, path) = rest.split_once('/').ok_or(UrlError::Form)?;
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let scheme = match (scheme.to_ascii_lowercase().as_str(), user) {
            ("https", None) => Scheme::Https,
            ("http", None) => Scheme::Http,
            ("https" | "http", Some(_)) => return Err(UrlError::Credentials),
            ("ssh", user) => Scheme::Ssh(user_name(user.unwrap_or(DEFAULT_USER))?),
            _ => return Err(UrlError::Form),
        };
        let url = Self::with(scheme, host, path)?;
        if url.scheme == Scheme::Http && !host::is_allowed(&url.host, url.port, allowed) {
            return Err(UrlError::Plain(url.host));
        }
        Ok(url)
    }

    fn with(scheme: Scheme, authority: &str, path: &str) -> Result<Self, UrlError> {
        let (host, port) = host::split_port(authority).ok_or(UrlError::Form)?;
        let path = path.trim_end_matches('/');
        let good = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+".contains(&byte);
            !segment.is_empty() && segment.bytes().all(plain) && !segment.starts_with('.')
        };
        if path.is_empty() || !path.split('/').all(good) {
            return Err(UrlError::Form);
        }
        let port = match (&scheme, port) {
            (Scheme::Scp(_), Some(_)) => return Err(UrlError::Form),
            (_, Some(port)) => port,
            (_, None) => scheme.port(),
        };
        Ok(Self { scheme, host, port, path: path.to_owned() })
    }

    /// The address that a submodule names, which may be relative to this one
    /// (git-submodule(1)).
    pub(super) fn join(&self, text: &str, allowed: &[HostPort]) -> Result<Self, UrlError> {
        if !text.starts_with("./") && !text.starts_with("../") {
            return Self::parse(text, allowed);
        }
        let mut parts: Vec<&str> = self.path.split('/').collect();
        let mut rest = text;
        loop {
            if let Some(next) = rest.strip_prefix("../") {
                parts.pop().ok_or(UrlError::Form)?;
                rest = next;
            } else if let Some(next) = rest.strip_prefix("./") {
                rest = next;
            } else {
                break;
            }
        }
        parts.push(rest);
        let path = parts.join("/");
        Self::parse(&Self { path, ..self.clone() }.to_string(), allowed)
    }

    /// The repository in one spelling, whatever the case, the scheme and the `.git`.
    pub(crate) fn repo_key(&self) -> String {
        let path = self.path.strip_suffix(".git").unwrap_or(&self.path);
        format!("{}/{}", self.authority(), path.to_ascii_lowercase())
    }

    /// What its mirror is kept under: one for each repository and transport.
    pub(super) fn mirror_key(&self) -> String {
        let scheme = self.scheme.name();
        format!("{scheme}://{}{}", self.scheme.user(), self.repo_key())
    }

    /// Whether what is read by this address lies in the same mirrors.
    pub(crate) fn has_mirrors_of(&self, other: &Self) -> bool {
        self.mirror_key() == other.mirror_key()
    }

    /// `owner/repo`: the last two parts of the path; empty for a shorter one.
    pub(crate) fn full_name(&self) -> String {
        let path = self.path.strip_suffix(".git").unwrap_or(&self.path);
        let mut parts = path.rsplit('/');
        match (parts.next(), parts.next()) {
            (Some(repo), Some(owner)) => format!("{owner}/{repo}"),
            _ => String::new(),
        }
    }

    /// What git calls the way it is reached.
    pub(super) fn protocol(&self) -> &'static str {
        self.scheme.name()
    }

    pub(crate) fn is_ssh(&self) -> bool {
        matches!(self.scheme, Scheme::Ssh(_) | Scheme::Scp(_))
    }

    /// Whether both are reached at one host, in one way: what proves who we are to the one
    /// may be shown to the other.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        (self.protocol(), self.host(), self.port())
            == (other.protocol(), other.host(), other.port())
    }

    /// [`host::check`] of its host.
    pub(super) async fn check(
        &self,
        allowed: &[HostPort],
        proxied: bool,
    ) -> Result<Option<Vec<IpAddr>>, UrlError> {
        host::check(&self.host, self.port, allowed, proxied).await
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn authority(&self) -> String {
        if self.port == self.scheme.port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Scheme {
    fn name(&self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ssh(_) | Self::Scp(_) => "ssh",
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Ssh(_) | Self::Scp(_) => 22,
        }
    }

    /// With the `@` after it.
    fn user(&self) -> String {
        match self {
            Self::Http | Self::Https => String::new(),
            Self::Ssh(user) | Self::Scp(user) => format!("{user}@"),
        }
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, path) = (self.scheme.user(), &self.path);
        match &self.scheme {
            Scheme::Scp(_) => write!(f, "{user}{}:{path}", self.host),
            scheme => write!(f, "{}://{user}{}/{path}", scheme.name(), self.authority()),
        }
    }
}

fn user_name(text: &str) -> Result<String, UrlError> {
    if text.contains(':') {
        return Err(UrlError::Credentials);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let good = !text.is_empty()
        && text.len() <= MAX_USER_BYTES
        && text.bytes().all(plain)
        && !text.starts_with(['-', '.']);
    if good { Ok(text.to_owned()) } else { Err(UrlError::Form) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<GitUrl, UrlError> {
        GitUrl::parse(text, &["forge.lan:3000".parse().unwrap()])
    }

    #[test]
    fn one_repository_has_one_key() {
        for text in [
            "https://GitHub.com/Acme/Shop",
            "https://github.com/acme/shop.git",
            "https://github.com:443/acme/shop/",
            "HTTPS://github.com/acme/shop.git/",
            "git@github.com:acme/shop.git",
            "ssh://git@GitHub.com/Acme/Shop.git",
            "ssh://github.com:22/acme/shop",
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.repo_key(), "github.com/acme/shop", "{text}");
            assert_eq!(url.full_name().to_lowercase(), "acme/shop");
        }
        let key = |text: &str| parse(text).unwrap().repo_key();
        assert_eq!(key("http://forge.lan:3000/a/b.git"), "forge.lan:3000/a/b");
        assert_eq!(key("ssh://git@forge.lan:2222/a/b.git"), "forge.lan:2222/a/b");
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for text in [
            "",
            "github.com:acme/shop.git",
            "-git@github.com:acme/shop.git",
            "git@-oProxyCommand=id:acme/shop",
            "git@github.com:22:acme/shop",
            "git@github.com:/acme/shop",
            "git@github.com:../shop",
            "git@github.com:-acme\\shop",
            "ssh://-oProxyCommand=id/a/b",
            "ssh://a@b@github.com/a/b",
            "ssh://git@github.com",
            "git://github.com/a/b",
            "file:///etc",
            "/etc",
            "https://github.com",
            "https://github.com/",
            "https:///a/b",
            "https://-x/a/b",
            "https://github.com/a/../b",
            "https://github.com/a//b",
            "https://github.com/a/b?x=1",
            "https://github.com/a/b#c",
            "https://github.com/a b",
            "https://github.com/a\n/b",
            "https://github.com:0/a/b",
            "https://github.com:99999/a/b",
            "https://github.com:x/a",
            "ext::sh -c id",
            "--upload-pack=id",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("https://me:pw@github.com/a/b"), Err(UrlError::Credentials));
        assert_eq!(parse("ssh://git:pw@github.com/a/b"), Err(UrlError::Credentials));
        assert!(matches!(parse("http://github.com/a/b"), Err(UrlError::Plain(_))));
        assert!(matches!(parse("http://forge.lan/a/b"), Err(UrlError::Plain(_))));
    }

    #[test]
    fn a_submodules_address_may_be_relative() {
        let base = |text: &str| parse(text).unwrap();
        let join = |from: &str, text: &str| base(from).join(text, &[]).map(|it| it.to_string());
        let shop = "https://github.com/acme/shop.git";
        assert_eq!(join(shop, "../lib.git").unwrap(), "https://github.com/acme/lib.git");
        assert_eq!(join(shop, "../../eve/lib").unwrap(), "https://github.com/eve/lib");
        assert_eq!(join(shop, "./lib").unwrap(), "https://github.com/acme/shop.git/lib");
        assert_eq!(join(shop, "./../lib").unwrap(), "https://github.com/acme/lib");
        assert_eq!(join("git@h.example:a/b", "../c").unwrap(), "git@h.example:a/c");
        assert_eq!(
            join("ssh://git@h.example:29/a/b", "../c").unwrap(),
            "ssh://git@h.example:29/a/c"
        );
        assert_eq!(join(shop, "https://x.example/a/b").unwrap(), "https://x.example/a/b");
        for text in [
            "../../../../etc",
            "../..",
            "..",
            ".",
            "/etc",
            "file:///etc",
            "../x/../../y",
            "-u./x",
            "ext::sh -c id",
            "../--upload-pack=id;x",
        ] {
            assert!(join(shop, text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_private_host_needs_the_operators_word() {
        let allowed: Vec<HostPort> = vec!["127.0.0.1:3000".parse().unwrap()];
        let url = GitUrl::parse("http://127.0.0.1:3000/a/b", &allowed).unwrap();
        assert!(url.check(&allowed, false).await.is_ok());
        for text in ["https://127.0.0.1/a/b", "git@127.0.0.1:a/b", "ssh://git@[::1]/a/b"] {
            let url = GitUrl::parse(text, &allowed).unwrap();
            assert!(
                matches!(url.check(&allowed, false).await, Err(UrlError::Private(_))),
                "{text}"
            );
        }
        let url = GitUrl::parse("https://[::1]/a/b", &allowed).unwrap();
        assert!(matches!(url.check(&allowed, true).await, Err(UrlError::Private(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_and_stays_itself(
            text in "(https://|ssh://|git@h:)?[ -~]{0,60}"
        ) {
            if let Ok(url) = parse(&text) {
                prop_assert_eq!(parse(&url.to_string()), Ok(url.clone()));
                prop_assert!(!url.to_string().starts_with('-'));
                prop_assert!(!url.to_string().contains(['?', '#', ' ', '\'', '%']));
                prop_assert!(url.is_ssh() || !url.to_string().contains('@'));
            }
        }
    }
}
