//! Which repository addresses are taken, in one spelling, and which hosts the
//! server may be sent to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The longest address.
const MAX_BYTES: usize = 512;

/// An address that can be fetched from: `https://host/path`, or `http://` for a
/// host that the operator allowed. No user, password, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GitUrl {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scheme {
    Http,
    Https,
}

/// A host that the operator allows beyond public ones: without TLS, and with a
/// private address. Without a port, each of its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    host: String,
    port: Option<u16>,
}

/// Why an address is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("a repository is named as https://host/owner/repo")]
    Form,
    #[error(
        "a repository's address holds no user or password: private repositories are not supported yet"
    )]
    Credentials,
    #[error("`{0}` may only be reached over https://")]
    Plain(String),
    #[error("`{0}` is not a public address; the operator can allow it with --allow-git-host")]
    Private(String),
    #[error("`{0}` does not resolve to an address")]
    Unresolved(String),
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no host or host:port");
        let (host, port) = split_port(text).ok_or_else(wrong)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl GitUrl {
    /// Reads an address; whether the host may be reached is [`GitUrl::check`]ed apart.
    pub(crate) fn parse(text: &str, allowed: &[HostPort]) -> Result<Self, UrlError> {
        if text.len() > MAX_BYTES || text.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
            return Err(UrlError::Form);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Form)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(UrlError::Form),
        };
        let (authority, path) = rest.split_once('/').ok_or(UrlError::Form)?;
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let (host, port) = split_port(authority).ok_or(UrlError::Form)?;
        let path = path.trim_end_matches('/');
        let good = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+".contains(&byte);
            !segment.is_empty() && segment.bytes().all(plain) && !segment.starts_with('.')
        };
        if path.is_empty() || !path.split('/').all(good) {
            return Err(UrlError::Form);
        }
        let default = if scheme == Scheme::Https { 443 } else { 80 };
        let url = Self { scheme, host, port: port.unwrap_or(default), path: path.to_owned() };
        if scheme == Scheme::Http && !url.is_allowed(allowed) {
            return Err(UrlError::Plain(url.host));
        }
        Ok(url)
    }

    /// The repository in one spelling, whatever the case, the scheme and the `.git`.
    pub(crate) fn repo_key(&self) -> String {
        let path = self.path.strip_suffix(".git").unwrap_or(&self.path);
        format!("{}/{}", self.authority(), path.to_ascii_lowercase())
    }

    /// What its mirror is kept under: one for each repository and transport.
    pub(super) fn mirror_key(&self) -> String {
        let scheme = if self.is_plain() { "http" } else { "https" };
        format!("{scheme}://{}", self.repo_key())
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

    /// Whether git needs `protocol.http` for it.
    pub(super) fn is_plain(&self) -> bool {
        self.scheme == Scheme::Http
    }

    /// Where it leads, once it is known that it may: the addresses to pin git to,
    /// so that it cannot resolve the name differently a moment later. `None` when
    /// a proxy resolves the name.
    pub(super) async fn check(
        &self,
        allowed: &[HostPort],
        proxied: bool,
    ) -> Result<Option<Vec<IpAddr>>, UrlError> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<IpAddr> = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => match tokio::net::lookup_host((host, self.port)).await {
                Ok(found) => found.map(|address| address.ip()).collect(),
                Err(_) => Vec::new(),
            },
        };
        if addresses.is_empty() {
            return if proxied { Ok(None) } else { Err(UrlError::Unresolved(self.host.clone())) };
        }
        if !self.is_allowed(allowed) && !addresses.iter().copied().all(is_public) {
            return Err(UrlError::Private(self.host.clone()));
        }
        Ok((!proxied).then_some(addresses))
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn is_allowed(&self, allowed: &[HostPort]) -> bool {
        let fits = |known: &HostPort| {
            known.host == self.host && known.port.is_none_or(|port| port == self.port)
        };
        allowed.iter().any(fits)
    }

    fn authority(&self) -> String {
        match (self.scheme, self.port) {
            (Scheme::Https, 443) | (Scheme::Http, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_plain() { "http" } else { "https" };
        write!(f, "{scheme}://{}/{}", self.authority(), self.path)
    }
}

/// A host name or address in lower case, and its port.
fn split_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (format!("[{}]", address.to_ascii_lowercase()), port.strip_prefix(':'))
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            (host.to_ascii_lowercase(), port)
        }
    };
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let named = !host.is_empty() && host.bytes().all(good) && !host.starts_with(['-', '.']);
    if !named && !host.starts_with('[') {
        return None;
    }
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    Some((host, port))
}

/// Whether an address is one of the internet's, by IANA's registries of special
/// purpose addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarks = a == 198 && (18..20).contains(&b);
    let protocol = (a, b, c) == (192, 0, 0);
    !(a == 0
        || a >= 224
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || benchmarks
        || protocol)
}

/// Global unicast is `2000::/3`; within it, what translates to an IPv4 address or
/// is not routed is left out.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let translated = a == 0x2002 || (a == 0x2001 && b < 0x200);
    let documentation = (a, b) == (0x2001, 0x0db8) || a == 0x3fff;
    (0x2000..0x4000).contains(&a) && !translated && !documentation
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
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.repo_key(), "github.com/acme/shop", "{text}");
            assert_eq!(url.full_name().to_lowercase(), "acme/shop");
        }
        assert_eq!(
            parse("http://forge.lan:3000/a/b.git").unwrap().repo_key(),
            "forge.lan:3000/a/b"
        );
    }

    #[test]
    fn what_is_no_plain_https_address_is_refused() {
        for text in [
            "",
            "git@github.com:acme/shop.git",
            "ssh://github.com/a/b",
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
            "https://github.com/-a\\b",
            "--upload-pack=id",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("https://me:pw@github.com/a/b"), Err(UrlError::Credentials));
        assert!(matches!(parse("http://github.com/a/b"), Err(UrlError::Plain(_))));
        assert!(matches!(parse("http://forge.lan/a/b"), Err(UrlError::Plain(_))));
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "2002:7f00:1::",
            "2001:db8::1",
            "64:ff9b::7f00:1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["140.82.121.4", "8.8.8.8", "2606:4700::1111", "2a01:4f8::1"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[tokio::test]
    async fn a_private_host_needs_the_operators_word() {
        let allowed: Vec<HostPort> = vec!["127.0.0.1:3000".parse().unwrap()];
        let url = GitUrl::parse("http://127.0.0.1:3000/a/b", &allowed).unwrap();
        assert!(url.check(&allowed, false).await.is_ok());
        let url = GitUrl::parse("https://127.0.0.1/a/b", &allowed).unwrap();
        assert!(matches!(url.check(&allowed, false).await, Err(UrlError::Private(_))));
        let url = GitUrl::parse("https://[::1]/a/b", &allowed).unwrap();
        assert!(matches!(url.check(&allowed, true).await, Err(UrlError::Private(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_and_stays_itself(text in "(https://)?[ -~]{0,60}") {
            if let Ok(url) = parse(&text) {
                prop_assert_eq!(parse(&url.to_string()), Ok(url.clone()));
                prop_assert!(!url.to_string().contains(['@', '?', '#', ' ']));
            }
        }
    }
}
