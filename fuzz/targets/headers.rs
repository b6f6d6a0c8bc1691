//! The headers that cross the edge, both ways.
#![no_main]

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use pando_edge::fuzzing;

/// Names that one connection alone has to do with.
const CONNECTION: [&str; 4] =
    ["keep-alive", "proxy-connection", "transfer-encoding", "proxy-authorization"];

fuzz_target!(|bytes: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..at], line.get(at + 1..).unwrap_or_default());
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        else {
            continue;
        };
        headers.append(name, value);
    }
    let mut for_app = headers.clone();
    fuzzing::for_app(&mut for_app);
    let mut for_client = headers.clone();
    fuzzing::for_client(&mut for_client);
    for cleaned in [&for_app, &for_client] {
        for name in cleaned.keys() {
            let spelling = name.as_str().replace('_', "-");
            assert!(!spelling.starts_with("pando-") && !spelling.starts_with("x-pando-"), "{name}");
        }
        assert!(CONNECTION.iter().all(|name| !cleaned.contains_key(*name)), "{cleaned:?}");
    }
    // What the app hears about the client is the edge's, and said once.
    for name in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"] {
        assert_eq!(for_app.get_all(name).iter().count(), 1, "{name}");
    }
    assert_eq!(for_app.get_all(header::HOST).iter().count(), 1);
    let ours = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    for name in for_app.keys().filter(|name| !ours.contains(&name.as_str())) {
        let spelling = name.as_str().replace('_', "-");
        assert!(!spelling.starts_with("x-forwarded-") && spelling != "forwarded", "{name}");
    }
    assert_eq!(for_app["x-forwarded-for"], fuzzing::CLIENT);
});
