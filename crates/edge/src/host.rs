//! What a request's host means. Pure.

use std::fmt;

use http::uri::Authority;
use http::{HeaderValue, Request, header};
use pando_types::SandboxId;

/// The longest DNS label.
const MAX_LABEL_BYTES: usize = 63;
/// The longest name in DNS.
const MAX_NAME_BYTES: usize = 253;

/// The name under which every preview host stands: lower case, without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suffix(String);

/// Why a text is no suffix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no preview suffix: it takes DNS labels and, if need be, a port, as in `preview.localhost:7070`"
)]
pub struct SuffixError(String);

impl Suffix {
    /// Reads `preview.localhost:7070` or `preview.example.com`. The port matters
    /// to URLs only: hosts are compared by name.
    ///
    /// # Errors
    /// [`SuffixError`] unless the name is made of DNS labels.
    pub fn parse(configured: &str) -> Result<Self, SuffixError> {
        let name = name_of(configured).unwrap_or_default().to_ascii_lowercase();
        if name.split('.').all(is_dns_label) {
            Ok(Self(name))
        } else {
            Err(SuffixError(configured.to_owned()))
        }
    }

    /// Whether `host` (a name, with or without a port) stands under this suffix.
    /// The bare suffix does not.
    #[must_use]
    pub fn holds(&self, host: &str) -> bool {
        self.under(host).is_some()
    }

    /// What `host` stands for; `None` if it is not one label under this suffix.
    #[must_use]
    pub fn label(&self, host: &str) -> Option<HostLabel> {
        HostLabel::parse(&self.under(host)?.to_ascii_lowercase())
    }

    /// The part before `.suffix`, as it was written.
    fn under<'a>(&self, host: &'a str) -> Option<&'a str> {
        let name = name_of(host)?;
        let at = name.len().checked_sub(self.0.len())?;
        let (label, suffix) = (name.get(..at)?, name.get(at..)?);
        if suffix.eq_ignore_ascii_case(&self.0) { label.strip_suffix('.') } else { None }
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The host without its port and without the dot that ends a full name.
fn name_of(host: &str) -> Option<&str> {
    let name = match host.split_once(':') {
        None => host,
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) => return None,
    };
    Some(name.strip_suffix('.').unwrap_or(name))
}

/// What a host names: the one label before the suffix, or a domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostLabel {
    /// `<port>-<sandbox id>`: that port of that sandbox.
    Port {
        /// The sandbox; its id is the credential.
        sandbox: SandboxId,
        /// The port, never 0.
        port: u16,
    },
    /// Any other DNS label, in lower case: an app's host.
    App(String),
    /// A whole name that is not under the suffix, in lower case: a domain of an app's own.
    Domain(String),
}

impl HostLabel {
    /// Reads a lower-case label.
    fn parse(label: &str) -> Option<Self> {
        if !is_dns_label(label) {
            return None;
        }
        if let Some((port, sandbox)) = label.split_once('-')
            && let (Some(port), Ok(sandbox)) = (parse_port(port), sandbox.parse())
        {
            return Some(Self::Port { sandbox, port });
        }
        Some(Self::App(label.to_owned()))
    }
}

/// The whole name of a host in lower case, where it is one that can be a domain.
pub(crate) fn domain(host: &str) -> Option<String> {
    let name = name_of(host)?;
    (name.len() <= MAX_NAME_BYTES && name.contains('.')).then(|| name.to_ascii_lowercase())
}

/// A port has one spelling, so a sandbox's port has one host (and one origin).
fn parse_port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (port != 0 && port.to_string() == text).then_some(port)
}

fn is_dns_label(label: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(inside)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Why a request names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// No `Host`, or an empty one.
    #[error("the request has no Host header")]
    Missing,
    /// More than one `Host`.
    #[error("the request has more than one Host header")]
    Repeated,
    /// `Host` is not a name or address with an optional port.
    #[error("the Host header is malformed")]
    Malformed,
    /// The request line names another host than `Host` does.
    #[error("the request line and the Host header name different hosts")]
    Mismatch,
}

/// The host that a request is for, as the client wrote it, port included.
///
/// # Errors
/// [`HostError`] where two readers of the request could disagree about it.
pub fn authority<T>(request: &Request<T>) -> Result<&str, HostError> {
    let target = request.uri().authority().map(Authority::as_str);
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), target) {
        (Some(host), _) => host.to_str().map_err(|_| HostError::Malformed)?,
        // From HTTP/2 on, the authority takes the header's place.
        (None, Some(target)) if request.version() >= http::Version::HTTP_2 => target,
        (None, _) => return Err(HostError::Missing),
    };
    if hosts.next().is_some() {
        return Err(HostError::Repeated);
    }
    if host.is_empty() {
        return Err(HostError::Missing);
    }
    if !is_plain(host) && (host.contains('@') || host.parse::<Authority>().is_err()) {
        return Err(HostError::Malformed);
    }
    match target {
        Some(target) if !target.eq_ignore_ascii_case(host) => Err(HostError::Mismatch),
        _ => Ok(host),
    }
}

/// Whether `host` surely is a name with an optional port: nearly all are, and need
/// no second look.
fn is_plain(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let is_port = (1..=4).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    is_port && !name.is_empty() && name.bytes().all(in_name)
}

/// `host`, which is `request`'s [`authority`], as a header's value.
pub(crate) fn line<T>(request: &Request<T>, host: &str) -> Option<HeaderValue> {
    // Shared rather than copied where the request has it.
    request.headers().get(header::HOST).cloned().or_else(|| host.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn suffix() -> Suffix {
        Suffix::parse("Preview.localhost:7070").unwrap()
    }

    #[test]
    fn a_port_of_a_sandbox() {
        let sandbox = SandboxId::new();
        let expected = Some(HostLabel::Port { sandbox, port: 3000 });
        for host in [
            format!("3000-{sandbox}.preview.localhost:7070"),
            format!("3000-{sandbox}.preview.localhost"),
            format!("3000-{sandbox}.preview.localhost:1"),
            format!("3000-{sandbox}.preview.localhost.:7070"),
            format!("3000-{sandbox}.PREVIEW.localhost").to_uppercase(),
        ] {
            assert_eq!(suffix().label(&host), expected, "{host}");
        }
    }

    #[test]
    fn a_port_has_one_spelling() {
        let sandbox = SandboxId::new();
        for port in ["0", "03000", "65536", "+80", "99999999999"] {
            let label = suffix().label(&format!("{port}-{sandbox}.preview.localhost"));
            assert!(!matches!(label, Some(HostLabel::Port { .. })), "{port}: {label:?}");
        }
        let plain = sandbox.to_string().replace('-', "");
        let label = suffix().label(&format!("80-{plain}.preview.localhost"));
        assert_eq!(label, Some(HostLabel::App(format!("80-{plain}"))));
    }

    #[test]
    fn an_app() {
        let label = suffix().label("Shop-pr-7.preview.localhost:7070");
        assert_eq!(label, Some(HostLabel::App("shop-pr-7".into())));
    }

    #[test]
    fn under_the_suffix_and_yet_no_label() {
        let long = format!("{}.preview.localhost", "a".repeat(64));
        for host in [
            "a.b.preview.localhost",
            ".preview.localhost",
            "-a.preview.localhost",
            "a-.preview.localhost",
            "a_b.preview.localhost",
            &long,
        ] {
            assert!(suffix().holds(host), "{host}");
            assert_eq!(suffix().label(host), None, "{host}");
        }
    }

    #[test]
    fn other_hosts() {
        for host in [
            "preview.localhost:7070",
            "localhost:7070",
            "127.0.0.1:7070",
            "[::1]:7070",
            "xpreview.localhost",
            "a.preview.localhost.example.com",
            "a.preview.localhost:80:80",
            "a.preview.localhost..",
            "",
        ] {
            assert!(!suffix().holds(host), "{host}");
        }
    }

    #[test]
    fn a_domain_has_one_spelling() {
        for host in ["shop.example.com", "Shop.Example.COM:8080", "shop.example.com.:80"] {
            assert_eq!(domain(host).as_deref(), Some("shop.example.com"), "{host}");
        }
        for host in ["localhost", "localhost:7070", "", "a.b:c", &"a.".repeat(200)] {
            assert_eq!(domain(host), None, "{host}");
        }
    }

    #[test]
    fn a_suffix_is_made_of_labels() {
        assert_eq!(suffix().to_string(), "preview.localhost");
        for bad in ["", ":80", "a..b", ".a", "a b", "a:b", "http://a", "a/b", "[::1]"] {
            assert!(Suffix::parse(bad).is_err(), "{bad}");
        }
    }

    fn request(target: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn a_request_names_one_host() {
        assert_eq!(authority(&request("/", &["a.b:80"])), Ok("a.b:80"));
        assert_eq!(authority(&request("http://a.b/", &["A.b"])), Ok("A.b"));
        assert_eq!(authority(&request("/", &[])), Err(HostError::Missing));
        assert_eq!(authority(&request("http://a.b/", &[])), Err(HostError::Missing));
        assert_eq!(authority(&request("/", &[""])), Err(HostError::Missing));
        assert_eq!(authority(&request("/", &["a.b", "a.b"])), Err(HostError::Repeated));
        assert_eq!(authority(&request("http://c/", &["a.b"])), Err(HostError::Mismatch));
        for bad in ["a b", "a/b", "x@a.b", "a:b:c"] {
            assert_eq!(authority(&request("/", &[bad])), Err(HostError::Malformed), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_labels_stand_under_the_suffix(host in "\\PC{0,80}") {
            let suffix = suffix();
            if suffix.label(&host).is_some() {
                prop_assert!(suffix.holds(&host));
            }
        }

        #[test]
        fn every_port_and_sandbox_is_read_back(port in 1u16.., bits in any::<u128>(), upper in any::<bool>()) {
            let sandbox = uuid_text(bits);
            let mut host = format!("{port}-{sandbox}.preview.localhost:7070");
            if upper {
                host.make_ascii_uppercase();
            }
            let expected = HostLabel::Port { sandbox: sandbox.parse().unwrap(), port };
            prop_assert_eq!(suffix().label(&host), Some(expected));
        }

        #[test]
        fn an_app_label_is_read_back_in_lower_case(label in "[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?") {
            let read = suffix().label(&format!("{label}.preview.localhost"));
            prop_assert_eq!(read, Some(HostLabel::App(label.to_ascii_lowercase())));
        }

        #[test]
        fn a_deeper_name_is_no_label(a in "[a-z0-9]{1,9}", b in "[a-z0-9]{1,9}") {
            prop_assert_eq!(suffix().label(&format!("{a}.{b}.preview.localhost")), None);
        }
    }

    fn uuid_text(bits: u128) -> String {
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}
