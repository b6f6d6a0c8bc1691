//! Key pairs for ssh, made here: the private half travels nowhere but to ssh.

use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Secret;

const KIND: &[u8] = b"ssh-ed25519";
/// The private part is filled up to a multiple of this.
const BLOCK_BYTES: usize = 8;
const LINE_BYTES: usize = 70;

/// An Ed25519 key pair as OpenSSH writes it.
pub(crate) struct KeyPair {
    /// The file of a private key, without a passphrase.
    pub private: Secret,
    /// `ssh-ed25519 … comment`.
    pub public: String,
}

/// The machine has no random numbers, or no curve.
#[derive(Debug, thiserror::Error)]
#[error("no key can be made")]
pub(crate) struct NoKey;

impl KeyPair {
    /// A new one.
    pub(crate) fn new(comment: &str) -> Result<Self, NoKey> {
        let pair = Ed25519KeyPair::generate().map_err(|_| NoKey)?;
        let seed = pair.seed().map_err(|_| NoKey)?;
        let seed: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| NoKey)?;
        let mut check = [0; 4];
        rand::fill(&mut check).map_err(|_| NoKey)?;
        let point = pair.public_key().as_ref();
        let public = STANDARD.encode(public(point));
        Ok(Self {
            private: Secret::new(private(seed.as_ref(), point, check, comment)),
            public: format!("ssh-ed25519 {public} {comment}"),
        })
    }
}

/// RFC 8709, section 4.
fn public(point: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    string(&mut blob, KIND);
    string(&mut blob, point);
    blob
}

/// PROTOCOL.key of OpenSSH.
fn private(seed: &[u8], point: &[u8], check: [u8; 4], comment: &str) -> String {
    // Twice: who decrypts with a wrong passphrase sees two different ones.
    let mut secret = [check, check].concat();
    string(&mut secret, KIND);
    string(&mut secret, point);
    string(&mut secret, &[seed, point].concat());
    string(&mut secret, comment.as_bytes());
    for fill in 1_u8.. {
        if secret.len().is_multiple_of(BLOCK_BYTES) {
            break;
        }
        secret.push(fill);
    }
    let mut file = b"openssh-key-v1\0".to_vec();
    for none in [&b"none"[..], b"none", b""] {
        string(&mut file, none);
    }
    file.extend_from_slice(&1_u32.to_be_bytes());
    string(&mut file, &public(point));
    string(&mut file, &secret);
    let text = STANDARD.encode(file);
    let mut lines = String::from("-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(LINE_BYTES) {
        lines.push_str(&String::from_utf8_lossy(line));
        lines.push('\n');
    }
    lines.push_str("-----END OPENSSH PRIVATE KEY-----\n");
    lines
}

/// RFC 4251, section 5: its length, then itself.
fn string(to: &mut Vec<u8>, text: &[u8]) {
    to.extend_from_slice(&(text.len() as u32).to_be_bytes());
    to.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn openssh_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for comment in ["pando shop", "a", "ab", "abc", "abcd", "abcde", "abcdefg"] {
            let pair = KeyPair::new(comment).unwrap();
            std::fs::write(&file, pair.private.reveal()).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
            let told = Command::new("ssh-keygen").arg("-y").arg("-f").arg(&file).output().unwrap();
            assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
            assert_eq!(String::from_utf8(told.stdout).unwrap().trim_end(), pair.public);
        }
    }
}
