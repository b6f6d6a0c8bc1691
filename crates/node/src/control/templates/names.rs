//! What templates may be called, and what images.

use pando_types::limits::{MAX_IMAGE_REF_BYTES, MAX_TEMPLATE_NAME_CHARS};
use pando_types::{Code, PublicError};

/// What is, or will be, a template for all.
const RESERVED: [&str; 5] = ["base", "builder", "code-interpreter", "pando", "postgres"];

/// Refuses what no template of an org may be called.
pub(super) fn check(name: &str) -> Result<(), PublicError> {
    let is_good = (1..=MAX_TEMPLATE_NAME_CHARS).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !name.starts_with('-');
    if !is_good {
        let message = format!(
            "`name` is 1 to {MAX_TEMPLATE_NAME_CHARS} lower-case letters, digits and dashes, \
             and begins with no dash"
        );
        return Err(PublicError::invalid("name", message));
    }
    if RESERVED.contains(&name) || name.starts_with("postgres-") {
        let message = format!("`{name}` is the name of a template for all; take another");
        let field = Some("name".to_owned());
        return Err(PublicError { field, ..PublicError::new(Code::Conflict, message) });
    }
    Ok(())
}

/// Refuses what is no name of an image: it goes into a Dockerfile.
pub(super) fn check_image(name: &str) -> Result<(), PublicError> {
    let is_good = (1..=MAX_IMAGE_REF_BYTES).contains(&name.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/' | b':' | b'@')
        })
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if is_good {
        return Ok(());
    }
    let message = "`image_ref` is the name of an image, as in `registry.example.com/team/app:1`";
    Err(PublicError::invalid("image_ref", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_nobody_elses() {
        for good in ["a", "0", "my-app-2", &"x".repeat(63)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", "..", "a.b", "ä", &"x".repeat(64)] {
            assert_eq!(check(bad).unwrap_err().code, Code::InvalidRequest, "{bad}");
        }
        for taken in ["base", "code-interpreter", "builder", "postgres-16"] {
            let error = check(taken).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (Code::Conflict, Some("name")));
        }
    }

    #[test]
    fn an_image_is_one_word() {
        for good in ["debian", "debian:12", "r.example.com:5000/a/b_c@sha256:00ff"] {
            assert_eq!(check_image(good), Ok(()), "{good}");
        }
        for bad in ["", "a b", "a\nRUN x", "$X", "-x", ":1", "a\0", "a#b", &"x".repeat(513)] {
            assert!(check_image(bad).is_err(), "{bad}");
        }
    }
}
