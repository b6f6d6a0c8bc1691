//! What a fuzzer reaches beside the public face; compiled for it alone (`fuzz/`).

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use http::header::HeaderValue;
use pando_types::url::Scheme;

use crate::headers::{self, Origin};

/// The client that every request comes from.
pub const CLIENT: &str = "192.0.2.7";

/// A request's headers, cleaned for the app.
pub fn for_app(headers: &mut HeaderMap) {
    let origin = Origin {
        client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        host: HeaderValue::from_static("shop.preview.localhost"),
        scheme: Scheme::Https,
    };
    let upgrade = headers::upgrade(headers);
    let _ = headers::has_foreign_coding(headers);
    headers::for_app(headers, &origin, upgrade);
}

/// An answer's headers, cleaned for the client.
pub fn for_client(headers: &mut HeaderMap) {
    let upgrade = headers::upgrade(headers);
    headers::for_client(headers, upgrade);
}
