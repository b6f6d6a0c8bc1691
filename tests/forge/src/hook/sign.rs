//! The signature in `X-Hub-Signature-256`.

use std::fmt::Write;

use aws_lc_rs::hmac;

/// `sha256=` and the HMAC-SHA256 of the raw body under the secret, in lower-case hex.
#[must_use]
pub fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut text = "sha256=".to_owned();
    for byte in hmac::sign(&key, body).as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn signs_as_githubs_own_example_says() {
        // docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
        assert_eq!(
            super::sign("It's a Secret to Everybody", b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }
}
