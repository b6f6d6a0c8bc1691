//! Disks of apps that are kept under a name: what was installed or built for one, for the
//! next machine to begin with. Each can be made anew, and goes when the disk is short.
//!
//! A machine wrote what is on them, and only machines read it: nothing here looks into one.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pando_types::limits::APP_DISK_BYTES;
use pando_types::{Epoch, SandboxId};
use pando_vm::sys::{durable, reflink};

use super::{Node, NodeError};
use crate::garbage;
use crate::sandbox::files::Files;
use crate::sandbox::spare::Disk;

/// The longest name of a disk.
const MAX_NAME_BYTES: usize = 200;
/// The one that others begin as: an ext4 with nothing on it.
const EMPTY: &str = "empty";

/// The name of a kept disk: lower-case letters, digits and dashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskName(String);

/// Text that names no disk.
#[derive(Debug, thiserror::Error)]
#[error("the name of a disk is 1 to {MAX_NAME_BYTES} of a-z, 0-9 and `-`")]
pub struct BadDiskName;

impl FromStr for DiskName {
    type Err = BadDiskName;

    fn from_str(text: &str) -> Result<Self, BadDiskName> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(is_plain);
        fits.then(|| Self(text.to_owned())).ok_or(BadDiskName)
    }
}

impl fmt::Display for DiskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for DiskName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A disk for a machine to begin with; its file stays while this is held.
#[derive(Debug)]
pub struct BegunDisk {
    file: PathBuf,
    bytes: u64,
}

impl BegunDisk {
    /// That of a name by which the file stays.
    pub(crate) fn of(file: PathBuf, bytes: u64) -> Self {
        Self { file, bytes }
    }

    pub(crate) fn disk(&self) -> Disk {
        Disk::Begun { of: self.file.clone(), bytes: self.bytes }
    }
}

impl Drop for BegunDisk {
    fn drop(&mut self) {
        // What stays is gone at the next start.
        let _ = fs::remove_file(&self.file);
    }
}

impl Node {
    /// Keeps the app's disk of a sandbox as it is now under a name, in the place of what had
    /// it. Whoever asks has made the guest write all of it.
    ///
    /// # Errors
    /// [`NodeError::NotFound`], [`NodeError::Fenced`], [`NodeError::NoSpace`],
    /// [`NodeError::Failed`].
    pub async fn disk_keep(
        &self,
        id: SandboxId,
        epoch: Epoch,
        index: usize,
        name: &DiskName,
    ) -> Result<(), NodeError> {
        self.handle(id, epoch)?;
        let from = Files::new(self.shared.data.sandbox(id)).spare(index);
        let (staged, place) = (self.shared.data.grave(), self.shared.data.disk(name));
        self.disk(move || {
            reflink::clone_file(&from, &staged)?;
            File::open(&staged)?.sync_all()?;
            durable::rename(&staged, &place)
        })
        .await
    }

    /// A kept disk for a machine to begin with; `None` where there is none of that name.
    ///
    /// # Errors
    /// [`NodeError::Failed`] when it cannot be read.
    pub async fn disk_begin(&self, name: &DiskName) -> Result<Option<BegunDisk>, NodeError> {
        let (place, link) = (self.shared.data.disk(name), self.shared.data.grave());
        self.disk(move || linked(&place, link)).await
    }

    /// An empty disk for a machine to begin with.
    ///
    /// # Errors
    /// [`NodeError::NoSpace`], [`NodeError::Failed`].
    pub async fn disk_begin_empty(&self) -> Result<BegunDisk, NodeError> {
        let name = DiskName(EMPTY.to_owned());
        loop {
            if let Some(begun) = self.disk_begin(&name).await? {
                return Ok(begun);
            }
            let (staged, place) = (self.shared.data.grave(), self.shared.data.disk(&name));
            self.format(&staged, APP_DISK_BYTES).await?;
            self.disk(move || durable::rename(&staged, &place)).await?;
        }
    }

    /// The names of the disks that are kept and begin so, those first that were used last.
    ///
    /// # Errors
    /// [`NodeError::Failed`] when they cannot be read.
    pub async fn disks(&self, prefix: String) -> Result<Vec<DiskName>, NodeError> {
        let dir = self.shared.data.disks();
        self.disk(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_str().and_then(|name| name.strip_suffix(".raw"));
                if let Some(name) = name.filter(|name| name.starts_with(&prefix))
                    && let Ok(name) = name.parse::<DiskName>()
                {
                    found.push((entry.metadata()?.modified()?, name));
                }
            }
            found.sort();
            Ok(found.into_iter().rev().map(|(_, name)| name).collect())
        })
        .await
    }

    /// Removes a kept disk; fine when it is gone already. What began with it goes on.
    ///
    /// # Errors
    /// [`NodeError::Failed`] when it cannot be removed.
    pub async fn disk_forget(&self, name: &DiskName) -> Result<(), NodeError> {
        let place = self.shared.data.disk(name);
        self.disk(move || match fs::remove_file(place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }
}

/// Another name for the file, by which it stays; none where it is gone.
fn linked(place: &Path, link: PathBuf) -> io::Result<Option<BegunDisk>> {
    match fs::hard_link(place, &link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(()) => {
            garbage::touch(&link);
            Ok(Some(BegunDisk::of(link, APP_DISK_BYTES)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        assert!("layer-0a".parse::<DiskName>().is_ok());
        for bad in ["", "../a", "a.raw", "A", "a/b", "a\0", &"a".repeat(201)] {
            assert!(bad.parse::<DiskName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_disk_that_is_begun_with_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (place, link) = (folder.path().join("a.raw"), folder.path().join("link"));
        assert!(linked(&place, link.clone()).unwrap().is_none());
        fs::write(&place, "disk").unwrap();
        let begun = linked(&place, link.clone()).unwrap().unwrap();
        fs::remove_file(&place).unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "disk");
        drop(begun);
        assert!(!link.exists());
    }
}
