//! Where sandboxes and apps are reached, decided in one place.

use crate::id::SandboxId;

/// The public side of the edge: scheme and preview suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrls {
    /// `http`, or `https` when TLS ends at or before the edge.
    pub scheme: Scheme,
    /// The suffix of every preview host, with its port where that is not the
    /// scheme's own: `preview.localhost:7070`.
    pub suffix: String,
}

/// The scheme that browsers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl PublicUrls {
    /// The URL of a port in a sandbox.
    #[must_use]
    pub fn port(&self, sandbox: SandboxId, port: u16) -> String {
        self.label(&format!("{port}-{sandbox}"))
    }

    /// The same with `{port}` where the number goes.
    #[must_use]
    pub fn port_template(&self, sandbox: SandboxId) -> String {
        self.label(&format!("{{port}}-{sandbox}"))
    }

    /// The URL of a domain of an app's own.
    #[must_use]
    pub fn domain(&self, name: &str) -> String {
        let port =
            self.suffix.split_once(':').map_or(String::new(), |(_, port)| format!(":{port}"));
        format!("{}://{name}{port}", self.scheme.as_str())
    }

    /// The name of the suffix, without a port.
    #[must_use]
    pub fn name(&self) -> &str {
        self.suffix.split_once(':').map_or(&*self.suffix, |(name, _)| name)
    }

    /// The host with this label, without a port.
    #[must_use]
    pub fn host(&self, label: &str) -> String {
        format!("{label}.{}", self.name())
    }

    /// The URL of the host with this label.
    #[must_use]
    pub fn label(&self, label: &str) -> String {
        format!("{}://{label}.{}", self.scheme.as_str(), self.suffix)
    }
}
