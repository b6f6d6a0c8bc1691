//! API keys: `pando_` and 64 hex digits of the system's randomness. What is
//! stored is the SHA-256 of the whole text, and a prefix to tell keys apart in
//! a list; the key itself is shown once. A plain hash is enough, for there is
//! no guessing 256 random bits, however fast.

use std::fmt::Write as _;

use aws_lc_rs::{digest, rand};
use pando_store::KeyRow;
use pando_types::limits::MAX_KEY_LABEL_CHARS;
use pando_types::{ApiKeyId, OrgId, Timestamp};

/// The start of every key that Pando makes.
pub const KEY_PREFIX: &str = "pando_";
/// The shortest key that an operator may set, in bytes.
pub const MIN_PRESET_BYTES: usize = 16;
/// The longest key that an operator may set, in bytes.
pub const MAX_PRESET_BYTES: usize = 256;
/// How much of a key a list shows, in bytes.
const LISTED_BYTES: usize = 12;

/// A key that is not stored yet, with the text that is shown once.
#[derive(Clone)]
pub struct NewKey {
    /// What is stored.
    pub row: KeyRow,
    /// The key.
    pub text: String,
}

/// Why a key cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The system gave no randomness.
    #[error("the system has no randomness to give")]
    Randomness,
    /// A key that an operator set is of no use.
    #[error(
        "a preset key is {MIN_PRESET_BYTES} to {MAX_PRESET_BYTES} visible ASCII characters \
         without spaces; `openssl rand -hex 32` makes one"
    )]
    Preset,
    /// A label is empty, too long, or holds control characters.
    #[error("a label is 1 to {MAX_KEY_LABEL_CHARS} characters on one line")]
    Label,
}

impl NewKey {
    /// A fresh random key.
    pub fn generate(org: OrgId, label: &str, now: Timestamp) -> Result<Self, KeyError> {
        let mut random = [0; 32];
        rand::fill(&mut random).map_err(|_| KeyError::Randomness)?;
        let mut text = KEY_PREFIX.to_owned();
        for byte in random {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self::new(org, label, text, now)
    }

    /// The key that an operator chose, for automation.
    pub fn from_preset(
        org: OrgId,
        label: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let fits = (MIN_PRESET_BYTES..=MAX_PRESET_BYTES).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Preset);
        }
        Self::new(org, label, text.to_owned(), now)
    }

    fn new(org: OrgId, label: &str, text: String, now: Timestamp) -> Result<Self, KeyError> {
        let fits = (1..=MAX_KEY_LABEL_CHARS).contains(&label.chars().count());
        if !fits || label.chars().any(char::is_control) {
            return Err(KeyError::Label);
        }
        // A short preset gives away a quarter of itself at most.
        let prefix = text[..LISTED_BYTES.min(text.len() / 4)].to_owned();
        let hash = hash(&text);
        let label = label.to_owned();
        let id = ApiKeyId::new();
        let row =
            KeyRow { id, org, label, prefix, hash, created: now, expires: None, last_used: None };
        Ok(Self { row, text })
    }
}

/// What is stored and looked up in place of a key.
#[must_use]
pub fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn a_generated_key_has_its_form_and_never_comes_twice() {
        let key = NewKey::generate(OrgId::new(), "ci", NOW).unwrap();
        let digits = key.text.strip_prefix(KEY_PREFIX).unwrap();
        assert_eq!(digits.len(), 64);
        assert!(digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
        assert_eq!(key.row.prefix, key.text[..12]);
        assert_eq!(key.row.hash, hash(&key.text));
        let other = NewKey::generate(OrgId::new(), "ci", NOW).unwrap();
        assert_ne!(key.text, other.text);
    }

    #[test]
    fn the_hash_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(hash("abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn a_preset_must_be_worth_something() {
        let preset = |text: &str| NewKey::from_preset(OrgId::new(), "preset", text, NOW);
        assert_eq!(preset("pds_0123456789abcdef").unwrap().row.prefix, "pds_0");
        for bad in
            ["", "short", "has a space in its middle", "nähe-nähe-nähe-nähe", &"x".repeat(257)]
        {
            assert_eq!(preset(bad).err(), Some(KeyError::Preset), "{bad:?}");
        }
    }

    #[test]
    fn a_label_is_one_line() {
        for bad in ["", "two\nlines", &"x".repeat(101)] {
            assert_eq!(NewKey::generate(OrgId::new(), bad, NOW).err(), Some(KeyError::Label));
        }
    }
}
