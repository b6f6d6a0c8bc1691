//! The disks of layers that builds leave for the next: one for each org, which nobody
//! else's build ever sees. They are a cache, and go where room is short.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pando_types::{OrgId, SandboxId};

use crate::data::DataDir;
use crate::garbage;
use crate::node::{Node, NodeError};

/// A disk that takes more than that is not kept: 8 GiB.
const MAX_KEPT_BYTES: u64 = 8 << 30;
/// How many are kept, those of the orgs that built last.
const MAX_KEPT: usize = 8;
const BLOCK_BYTES: u64 = 512;

/// Where an org's are, for this version of what builds.
#[derive(Debug, Clone)]
pub(super) struct Layers {
    data: DataDir,
    org: OrgId,
    version: String,
}

impl Layers {
    pub(super) fn new(data: DataDir, org: OrgId, version: String) -> Self {
        Self { data, org, version }
    }

    /// Gives the disk to begin with the name `name`, under which it stays whatever becomes
    /// of what is kept; `None` when there is none yet.
    pub(super) fn find(&self, name: PathBuf) -> io::Result<Option<PathBuf>> {
        match fs::hard_link(self.path(), &name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(()) => {
                garbage::touch(&name);
                Ok(Some(name))
            }
        }
    }

    /// Keeps the disk `staged`, unless it has become too large; those that were not used
    /// for long go for it.
    pub(super) fn keep(&self, staged: &Path) -> io::Result<()> {
        if fs::metadata(staged)?.blocks() * BLOCK_BYTES > MAX_KEPT_BYTES {
            self.forget()?;
            return fs::remove_file(staged);
        }
        fs::rename(staged, self.path())?;
        let mut kept = Vec::new();
        for entry in fs::read_dir(self.data.layers())? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                kept.push((used, entry.path()));
            }
        }
        kept.sort();
        kept.reverse();
        kept.into_iter().skip(MAX_KEPT).try_for_each(|(_, path)| fs::remove_file(path))
    }

    /// Keeps what stands in a spare disk of a machine that has let go of it.
    pub(super) async fn keep_of(
        &self,
        node: &Node,
        id: SandboxId,
        disk: usize,
    ) -> Result<(), NodeError> {
        let (layers, staged) = (self.clone(), self.data.grave());
        node.copy_spare(id, disk, None, staged.clone()).await?;
        node.on_disk(move || layers.keep(&staged)).await
    }

    /// Removes the org's disk: it was of no use.
    pub(super) fn forget(&self) -> io::Result<()> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self) -> PathBuf {
        self.data.layers().join(format!("{}-{}.raw", self.org, self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_org_has_its_own_and_few_are_kept() {
        let folder = crate::tests::Folder::new();
        let data = DataDir::open(folder.path()).await.unwrap();
        let of = |org, version: &str| Layers::new(data.clone(), org, version.into());
        let find = |org, version: &str| of(org, version).find(data.grave()).unwrap();
        let orgs: Vec<OrgId> = (0..MAX_KEPT + 2).map(|_| OrgId::new()).collect();
        for (age, org) in orgs.iter().enumerate() {
            let staged = data.grave();
            fs::write(&staged, "layers").unwrap();
            let used = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
            fs::File::options().write(true).open(&staged).unwrap().set_modified(used).unwrap();
            of(*org, "1").keep(&staged).unwrap();
        }
        let found: Vec<bool> = orgs.iter().map(|org| of(*org, "1").path().exists()).collect();
        assert_eq!(found.iter().filter(|found| **found).count(), MAX_KEPT);
        assert!(!found[0] && !found[1]);
        let last = orgs[MAX_KEPT + 1];
        assert!(find(last, "2").is_none(), "another version's");
        let begun = find(last, "1").unwrap();
        let used = fs::metadata(&begun).unwrap().modified().unwrap();
        assert!(used > SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000));
        of(last, "1").forget().unwrap();
        of(last, "1").forget().unwrap();
        assert!(find(last, "1").is_none());
        assert_eq!(fs::read_to_string(begun).unwrap(), "layers");
        data.unmount_pool().await.unwrap();
    }
}
