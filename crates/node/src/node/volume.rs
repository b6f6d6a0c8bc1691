//! Volumes: disks that sandboxes are given, and that outlive them.
//!
//! A volume is one sparse file with an ext4 that fills it. A guest takes the disk for as
//! large as every spare is; where the file ends its reads and writes fail, so no more is
//! ever written than the volume's size. Once a guest has mounted it, what is on it is a
//! stranger's: nothing here ever mounts it, or looks into it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use pando_types::VolumeId;
use pando_vm::sys::command::Tool;
use pando_vm::sys::durable;
use pando_vm::sys::fault::{self, Fault};

use super::{Node, NodeError};
use crate::capacity::room;
use crate::garbage;
use crate::sandbox::spare;

const MIB: u64 = 1 << 20;
const FILE_SYSTEM: &str = "mke2fs";

impl Node {
    /// Makes a volume; returns when it is durable. Asked again, it is there already.
    ///
    /// # Errors
    /// [`NodeError::NoHeadroom`], [`NodeError::NoSpace`], [`NodeError::Failed`]; nothing is
    /// left of it then.
    pub async fn volume_make(&self, id: VolumeId, size_mib: u32) -> Result<(), NodeError> {
        let place = self.shared.data.volume(id);
        if place.exists() {
            return Ok(());
        }
        let bytes = u64::from(size_mib) * MIB;
        if !room::holds(self.host(), bytes) {
            garbage::make_room_for(&self.shared, bytes).await;
            if !room::holds(self.host(), bytes) {
                return Err(NodeError::NoHeadroom);
            }
        }
        let staged = self.shared.data.grave();
        let made = self.format(&staged, bytes).await;
        let named = match made {
            Ok(()) => {
                let from = staged.clone();
                self.disk(move || {
                    File::open(&from)?.sync_all()?;
                    fault::point(Fault::VolumeSynced);
                    durable::rename(&from, &place)
                })
                .await
            }
            Err(error) => Err(error),
        };
        if named.is_err() {
            // What stays is gone at the next start.
            let _ = fs::remove_file(&staged);
        }
        fault::point(Fault::VolumeNamed);
        named
    }

    /// Makes a new file with an empty ext4 of that many bytes.
    pub(super) async fn format(&self, path: &Path, bytes: u64) -> Result<(), NodeError> {
        let (blank, path) = (path.to_owned(), path.display().to_string());
        self.disk(move || spare::make_blank(&blank, bytes)).await?;
        // All of the file is a hole, so there are no inode tables for the guest to clear.
        let options = "lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0";
        Tool::new(FILE_SYSTEM, ["-q", "-F", "-t", "ext4", "-m", "0", "-E", options, &path])
            .run()
            .await
            .map(drop)
            .map_err(|error| NodeError::Failed(crate::chain(&error)))
    }

    /// The volumes of this node, in no order.
    ///
    /// # Errors
    /// [`NodeError::Failed`] when they cannot be read.
    pub async fn volumes(&self) -> Result<Vec<VolumeId>, NodeError> {
        let dir = self.shared.data.volumes();
        self.disk(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(dir)? {
                let name = entry?.file_name();
                let id = name.to_str().and_then(|name| name.strip_suffix(".raw"));
                found.extend(id.and_then(|id| id.parse::<VolumeId>().ok()));
            }
            Ok(found)
        })
        .await
    }

    /// Removes a volume; fine when it is gone already. A sandbox that has it goes on with
    /// the file, and takes it along.
    ///
    /// # Errors
    /// [`NodeError::Failed`] when it cannot be removed.
    pub async fn volume_delete(&self, id: VolumeId) -> Result<(), NodeError> {
        let place = self.shared.data.volume(id);
        self.disk(move || match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => durable::sync_parent(&place),
        })
        .await
    }
}
