//! The signature of a delivery: HMAC-SHA256 over the raw body.

use aws_lc_rs::hmac;

use crate::Secret;

/// Whether `header` (`sha256=` and 64 hex digits) is the body's signature under
/// the secret. Compared in constant time.
pub(super) fn is_signed(secret: &Secret, header: &str, body: &[u8]) -> bool {
    let Some(signature) = header.strip_prefix("sha256=").and_then(unhex) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    hmac::verify(&key, body, &signature).is_ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    const SIGNATURE: &str =
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn githubs_own_example_is_signed_and_nothing_else_is() {
        let secret = Secret::new("It's a Secret to Everybody");
        assert!(is_signed(&secret, SIGNATURE, b"Hello, World!"));
        assert!(!is_signed(&secret, SIGNATURE, b"Hello, World?"));
        assert!(!is_signed(&Secret::new("another"), SIGNATURE, b"Hello, World!"));
        for header in ["", "sha256=", &SIGNATURE[7..], &SIGNATURE[..60], "sha1=757107", "sha256=zz"]
        {
            assert!(!is_signed(&secret, header, b"Hello, World!"), "{header}");
        }
    }
}
