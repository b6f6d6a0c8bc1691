//! The host of a request: what it stands for, and whether there is just one.
#![no_main]

use http::{HeaderValue, Request, Uri, Version, header};
use libfuzzer_sys::fuzz_target;
use pando_edge::{HostLabel, Suffix, host};

/// The first line is a suffix, the second a target, the others are `Host` lines.
fn check(text: &str) {
    let mut lines = text.split('\n');
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut request = Request::new(());
    if let Ok(target) = second.parse::<Uri>() {
        *request.uri_mut() = target;
    }
    for line in lines {
        if let Ok(value) = HeaderValue::from_str(line) {
            request.headers_mut().append(header::HOST, value);
        }
    }
    let suffixes = [Suffix::parse("preview.localhost:7070"), Suffix::parse(first)];
    for version in [Version::HTTP_11, Version::HTTP_2] {
        *request.version_mut() = version;
        let Ok(name) = host::authority(&request) else { continue };
        assert!(request.headers().get_all(header::HOST).iter().count() <= 1);
        for suffix in suffixes.iter().flatten() {
            let Some(label) = suffix.label(name) else { continue };
            assert!(suffix.holds(name));
            // The label leads back to the host: two hosts never mean one thing.
            let label = match label {
                HostLabel::App(label) => label,
                HostLabel::Port { sandbox, port } => format!("{port}-{sandbox}"),
                HostLabel::Domain(name) => panic!("{name} is under the suffix"),
            };
            let canonical = format!("{label}.{suffix}");
            let bare = name.split(':').next().unwrap_or_default();
            let bare = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
            assert_eq!(bare, canonical);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
});
