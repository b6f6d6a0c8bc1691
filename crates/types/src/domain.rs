//! Domains of users' own on the wire: routes under `/v1/apps/{id}/domains`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits::MAX_DOMAIN_BYTES;
use crate::schema::value::DomainText;

/// The longest DNS label (RFC 1035).
const MAX_LABEL_BYTES: usize = 63;

/// A domain in its one spelling: lower case, without the dot that ends a full name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DomainName(String);

/// Why a text is no domain that an app can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainNameError {
    /// Nothing, or too much.
    #[error("a domain has 1 to {MAX_DOMAIN_BYTES} characters")]
    Length,
    /// An address.
    #[error("a domain is a name, not an address")]
    Address,
    /// `*.example.com`.
    #[error("a wildcard is no domain: add each name by itself")]
    Wildcard,
    /// Letters beyond ASCII.
    #[error("a domain with other letters is written in its ASCII form, which begins with `xn--`")]
    NotAscii,
    /// `example`.
    #[error("a domain has at least two labels, as in `app.example.com`")]
    Single,
    /// `localhost` and what is below it.
    #[error("`localhost` is every machine's own name for itself")]
    Localhost,
    /// Anything else that no DNS label is.
    #[error(
        "a domain is made of labels of letters, digits and `-`, with dots between them, as in `app.example.com`"
    )]
    Label,
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    fn from_str(text: &str) -> Result<Self, DomainNameError> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() || text.len() > MAX_DOMAIN_BYTES {
            return Err(DomainNameError::Length);
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<IpAddr>().is_ok() {
            return Err(DomainNameError::Address);
        }
        if name.contains('*') {
            return Err(DomainNameError::Wildcard);
        }
        if !name.is_ascii() {
            return Err(DomainNameError::NotAscii);
        }
        if !name.split('.').all(is_label) {
            return Err(DomainNameError::Label);
        }
        let Some((_, last)) = name.rsplit_once('.') else {
            return Err(match name.as_str() {
                "localhost" => DomainNameError::Localhost,
                _ => DomainNameError::Single,
            });
        };
        if last == "localhost" {
            return Err(DomainNameError::Localhost);
        }
        // No top-level domain begins with a digit, and some readers take such names for addresses.
        if last.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(DomainNameError::Address);
        }
        Ok(Self(name))
    }
}

fn is_label(label: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(inside)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl DomainName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `other` or stands below it.
    #[must_use]
    pub fn is_within(&self, other: &str) -> bool {
        let before = self.0.strip_suffix(other);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `POST /v1/apps/{id}/domains`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct AddDomain {
    /// The full name, as in `app.example.com`.
    #[schema(value_type = DomainText)]
    pub domain: String,
}

/// How far a domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DomainStatus {
    /// Its records were not found yet. It is looked up again by itself.
    Pending,
    /// Its owner has shown that it is theirs, and it leads to the app.
    Active,
    /// Its records say something else, or another app has it. It is looked up again by itself.
    Error,
}

/// The kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum DnsRecordType {
    /// Another name of a host.
    #[serde(rename = "CNAME")]
    Cname,
    /// Text.
    #[serde(rename = "TXT")]
    Txt,
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DnsRecordPurpose {
    /// Leads visitors to the app, and shows whose the domain is.
    Routing,
    /// Shows whose the domain is where the other record cannot be.
    Ownership,
}

/// A record that a domain's owner makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DnsRecord {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: DnsRecordType,
    /// Its full name.
    pub name: String,
    /// What it holds.
    pub value: String,
    /// What it is for.
    pub purpose: DnsRecordPurpose,
}

/// A domain of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppDomain {
    /// The name, in lower case.
    pub domain: String,
    /// How far it is.
    pub status: DomainStatus,
    /// Why it is not active, or what is the matter with an active one; null when all is well.
    pub reason: Option<String>,
    /// Where the app is served once it is active.
    pub url: String,
    /// The records: either of them is enough to show whose the domain is.
    pub records: Vec<DnsRecord>,
    /// What to do with the records, in words.
    pub dns_note: String,
    /// When its records were last looked up: RFC 3339, UTC.
    pub checked_at: Option<String>,
    /// When it was added: RFC 3339, UTC.
    pub created_at: String,
}

/// `GET /v1/apps/{id}/domains`: all of an app, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DomainList {
    /// The domains.
    pub domains: Vec<AppDomain>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use DomainNameError::{Address, Label, Length, Localhost, NotAscii, Single, Wildcard};

    #[test]
    fn a_domain_has_one_spelling() {
        for text in ["app.example.com", "App.EXAMPLE.com.", "app.example.com."] {
            assert_eq!(text.parse::<DomainName>().unwrap().as_str(), "app.example.com");
        }
        for text in ["xn--bcher-kva.example", "a.b", "1.2.3.example", "a--b.c-d.e1"] {
            assert!(text.parse::<DomainName>().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_domain_is_told_why() {
        let long = format!("{}.example", "a.".repeat(120));
        let label = format!("{}.example", "a".repeat(64));
        for (text, why) in [
            ("", Length),
            (".", Length),
            (long.as_str(), Length),
            ("192.0.2.1", Address),
            ("[2001:db8::1]", Address),
            ("2001:db8::1", Address),
            ("1.2.3.4.5", Address),
            ("*.example.com", Wildcard),
            ("bücher.example", NotAscii),
            ("example", Single),
            ("localhost", Localhost),
            ("shop.LOCALHOST.", Localhost),
            (label.as_str(), Label),
            ("-a.example", Label),
            ("a-.example", Label),
            ("a..example", Label),
            (".example.com", Label),
            ("a_b.example", Label),
            ("https://a.example", Label),
            ("a.example:80", Label),
            ("a.example/", Label),
            ("a b.example", Label),
            ("a.example\n", Label),
            ("a.example..", Label),
        ] {
            assert_eq!(text.parse::<DomainName>(), Err(why), "{text:?}");
        }
    }

    #[test]
    fn a_name_stands_below_another_by_labels() {
        let name: DomainName = "shop.preview.example.com".parse().unwrap();
        for other in ["shop.preview.example.com", "preview.example.com", "com"] {
            assert!(name.is_within(other), "{other}");
        }
        for other in ["review.example.com", "a.shop.preview.example.com", "example.org"] {
            assert!(!name.is_within(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again_as_the_same(text in "[a-zA-Z0-9.*_-]{0,40}") {
            if let Ok(name) = text.parse::<DomainName>() {
                prop_assert_eq!(name.as_str().parse::<DomainName>(), Ok(name.clone()));
                prop_assert!(name.as_str().contains('.'));
            }
        }

        #[test]
        fn any_text_ends_in_an_answer(text in any::<String>()) {
            let _ = text.parse::<DomainName>();
        }
    }
}
