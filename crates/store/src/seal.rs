//! Columns that hold secrets: XChaCha20-Poly1305 under one key file.
//!
//! A sealed value is a format byte, a random nonce (192 bits, so it never
//! repeats by chance), and the ciphertext. The row's id and the column's name are
//! authenticated with it, so a value moved to another row does not open.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, Generate, Key, KeyInit, Nonce, Payload};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const FORMAT: u8 = 1;
/// What fingerprints' key is derived for (BLAKE3's key derivation).
const FINGERPRINTS: &str = "pando 2026-11 fingerprints of secrets";

/// Why a value could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file cannot be read or made.
    #[error("cannot use the key file {}", path.display())]
    KeyFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is there and holds no key.
    #[error("{} holds no key of {KEY_BYTES} bytes; restore it from your backup", path.display())]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// The value was sealed under another key, for another row, or changed since.
    #[error("a sealed value does not open: was the key file replaced?")]
    Refused,
}

/// Seals and opens columns. Clones share the key.
#[derive(Clone)]
pub struct Sealer {
    cipher: Arc<XChaCha20Poly1305>,
    /// Of the same key, and of no use for what the cipher does.
    fingerprint_key: [u8; KEY_BYTES],
}

impl Sealer {
    /// Reads the key file; makes it, for its owner's eyes alone, where there is none.
    ///
    /// # Errors
    /// [`SealError::KeyFile`], [`SealError::NotAKey`].
    pub fn open(path: &Path) -> Result<Self, SealError> {
        let failed = |source| SealError::KeyFile { path: path.to_owned(), source };
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_key_file(path).map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
            Ok(_) => {}
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        let key = Key::<XChaCha20Poly1305>::try_from(bytes.as_slice())
            .map_err(|_| SealError::NotAKey { path: path.to_owned() })?;
        Ok(Self {
            cipher: Arc::new(XChaCha20Poly1305::new(&key)),
            fingerprint_key: blake3::derive_key(FINGERPRINTS, &bytes),
        })
    }

    /// Tells whether two secrets are the same, and nothing else of them: without the key
    /// nobody can try out which value it is of. 32 hex digits.
    #[must_use]
    pub fn fingerprint(&self, secret: &[u8]) -> String {
        blake3::keyed_hash(&self.fingerprint_key, secret).to_hex()[..32].to_owned()
    }

    /// Seals `plain` for one column of the row with this id.
    ///
    /// # Errors
    /// [`SealError::Refused`] for a value beyond what the cipher takes (256 GiB).
    pub fn seal(&self, row: &str, column: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = Nonce::<XChaCha20Poly1305>::generate();
        let aad = bound_to(row, column);
        let payload = Payload { msg: plain, aad: aad.as_bytes() };
        let sealed = self.cipher.encrypt(&nonce, payload).map_err(|_| SealError::Refused)?;
        let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        bytes.push(FORMAT);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    /// Opens what [`Sealer::seal`] made for the same row and column.
    ///
    /// # Errors
    /// [`SealError::Refused`] when it was not made for them, or not under this key.
    pub fn unseal(&self, row: &str, column: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (&format, rest) = sealed.split_first().ok_or(SealError::Refused)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES).ok_or(SealError::Refused)?;
        let nonce = Nonce::<XChaCha20Poly1305>::try_from(nonce).map_err(|_| SealError::Refused)?;
        if format != FORMAT {
            return Err(SealError::Refused);
        }
        let aad = bound_to(row, column);
        let payload = Payload { msg: sealed, aad: aad.as_bytes() };
        self.cipher.decrypt(&nonce, payload).map_err(|_| SealError::Refused)
    }
}

/// A row's id has a fixed length, so no other pair gives the same text.
fn bound_to(row: &str, column: &str) -> String {
    format!("pando {row} {column}")
}

/// Written whole under another name first, then linked: the key is there whole or
/// not at all, and of two servers that start at once one key wins.
fn make_key_file(path: &Path) -> io::Result<()> {
    let key = Key::<XChaCha20Poly1305>::generate();
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&key)?;
        file.sync_all()?;
        match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    })();
    let removed = fs::remove_file(&temporary);
    written.and(removed)?;
    path.parent().map_or(Ok(()), |folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_file_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let sealed = Sealer::open(&path).unwrap().seal("row", "env", b"value").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(Sealer::open(&path).unwrap().unseal("row", "env", &sealed).unwrap(), b"value");
    }

    #[test]
    fn a_value_opens_only_where_it_was_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&folder.path().join("a.key")).unwrap();
        let other = Sealer::open(&folder.path().join("b.key")).unwrap();
        let sealed = sealer.seal("row", "env", b"value").unwrap();
        assert!(matches!(other.unseal("row", "env", &sealed), Err(SealError::Refused)));
        assert!(matches!(sealer.unseal("row2", "env", &sealed), Err(SealError::Refused)));
        assert!(matches!(sealer.unseal("row", "preview_env", &sealed), Err(SealError::Refused)));
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(sealer.unseal("row", "env", &changed).is_err(), "byte {position}");
            assert!(sealer.unseal("row", "env", &sealed[..position]).is_err());
        }
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        for junk in [&b""[..], &[7; 31], &[7; 33]] {
            fs::write(&path, junk).unwrap();
            assert!(matches!(Sealer::open(&path), Err(SealError::NotAKey { .. })));
            assert_eq!(fs::read(&path).unwrap(), junk);
        }
    }
}
