//! The data folder: what is where, and the pool whose files can share blocks.
//!
//! ```text
//! lock                 held while a server uses the folder
//! node.json            this node's id, for life
//! pando.db             rows (the store's)
//! builds/<id>.log      what builds of templates said
//! mirrors/             bare git mirrors (deploy's)
//! room/                what a VMM finds in its cage: its program and libraries
//! pool.xfs             only where the folder's own file system has no reflinks
//! pool/                everything that is copied by reflink:
//!   templates/<name>/<version>/rootfs.ext4
//!   kernels/<version>-<modules>/{vmlinuz,modules/}
//!   machines/<key>/{manifest.json,memory,devices,root.raw}
//!   sandboxes/<id>/{manifest.json,root.raw,…}
//!   snapshots/<id>/{image.json,memory,devices,root.raw,…}
//!   layers/<org>-<version>.raw   what an org's last build of a template left, for the next
//!   disks/<name>.raw   disks of apps, for those that are made next
//!   volumes/<id>.raw   each a disk that sandboxes are given
//!   staging/           half-made things; emptied at each start
//! ```

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::node::DiskName;
use pando_types::{NodeId, SandboxId, SnapshotId, VolumeId};
use pando_vm::sys::command::{self, CommandError};
use pando_vm::sys::{durable, host, reflink};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

/// The part of the free space that the pool's image may grow to: it is sparse, so
/// this is a ceiling and nothing is taken ahead.
const POOL_SHARE_PERCENT: u64 = 80;
/// The least pool that is of use, in bytes: one template and a few sandboxes.
const MIN_POOL_BYTES: u64 = 8 << 30;

/// Where everything is. While one of these lives, no other server uses the folder.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
    _lock: Arc<fs::File>,
}

/// What the pool's image takes of the disk below for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slack {
    /// Taken, and not used by the pool, in bytes.
    pub unused_bytes: u64,
    /// What is free of the disk below, in bytes.
    pub free_below_bytes: u64,
}

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another server holds the lock.
    #[error("another pando uses {}; stop it first, or name another folder with --data", path.display())]
    InUse {
        /// Which folder.
        path: PathBuf,
    },
    /// `node.json` is not what this server writes.
    #[error("{} does not hold a node id; restore it, or move the folder away", path.display())]
    NodeFile {
        /// Which file.
        path: PathBuf,
    },
    /// Making or mounting the pool.
    #[error("cannot prepare the pool (an XFS image, mounted by loop device)")]
    Pool(#[source] CommandError),
    /// Too little room.
    #[error("{} MiB free below the data folder; at least {} are needed", free_bytes >> 20, MIN_POOL_BYTES >> 20)]
    NoSpace {
        /// What is free.
        free_bytes: u64,
    },
}

#[derive(Serialize, Deserialize)]
struct NodeFile {
    id: NodeId,
}

impl DataDir {
    /// Opens the folder, making what is missing.
    ///
    /// # Errors
    /// Any [`DataError`].
    pub async fn open(root: &Path) -> Result<Self, DataError> {
        let make = |path: PathBuf| {
            fs::create_dir_all(&path).map_err(|source| DataError::Io { path: path.clone(), source })
        };
        make(root.to_owned())?;
        let root =
            root.canonicalize().map_err(|source| DataError::Io { path: root.into(), source })?;
        let lock_path = root.join("lock");
        let lock = fs::File::create(&lock_path)
            .map_err(|source| DataError::Io { path: lock_path.clone(), source })?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| DataError::InUse { path: root.clone() })?;
        let data = Self { root, _lock: Arc::new(lock) };
        make(data.pool())?;
        data.mount_pool().await?;
        for part in [
            "templates",
            "kernels",
            "machines",
            "sandboxes",
            "snapshots",
            "volumes",
            "layers",
            "disks",
        ] {
            make(data.pool().join(part))?;
        }
        let staging = data.staging();
        durable::remove_dir(&staging)
            .map_err(|source| DataError::Io { path: staging.clone(), source })?;
        make(staging)?;
        Ok(data)
    }

    async fn mount_pool(&self) -> Result<(), DataError> {
        let pool = self.pool();
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| DataError::Io { path, source }
        };
        if reflink::works_in(&pool).map_err(io(&pool))? {
            return Ok(());
        }
        let image = self.pool_image();
        if !image.exists() {
            let stat =
                rustix::fs::statvfs(&self.root).map_err(io::Error::from).map_err(io(&self.root))?;
            let free_bytes = stat.f_bavail * stat.f_frsize;
            if free_bytes < MIN_POOL_BYTES {
                return Err(DataError::NoSpace { free_bytes });
            }
            let size_bytes = free_bytes / 100 * POOL_SHARE_PERCENT;
            let temporary = image.with_extension("tmp");
            // Every guest's disk is in it.
            let mut private = fs::OpenOptions::new();
            private.create(true).truncate(true).write(true).mode(0o600);
            let file = private.open(&temporary).map_err(io(&temporary))?;
            file.set_len(size_bytes).map_err(io(&temporary))?;
            let path = temporary.display().to_string();
            command::run("mkfs.xfs", &["-q", "-f", "-m", "reflink=1", &path], None)
                .await
                .map_err(DataError::Pool)?;
            durable::rename(&temporary, &image).map_err(io(&image))?;
        }
        // Autoclear: the loop device goes with the mount. Direct I/O: one page
        // cache for guests' files, not two.
        let (image, pool) = (image.display().to_string(), pool.display().to_string());
        let options = "loop,nodev,nosuid,noatime";
        command::run("mount", &["-o", options, &image, &pool], None)
            .await
            .map_err(DataError::Pool)?;
        let device = command::run("findmnt", &["-n", "-o", "SOURCE", &pool], None)
            .await
            .map_err(DataError::Pool)?;
        let device = String::from_utf8_lossy(&device.stdout).trim().to_owned();
        // Only faster: a file system that cannot do it keeps the plain way.
        if let Err(error) = command::run("losetup", &["--direct-io=on", &device], None).await {
            tracing::debug!(%error, "no direct I/O under the pool");
        }
        Ok(())
    }

    /// Unmounts the pool's image, where there is one.
    ///
    /// # Errors
    /// [`DataError::Pool`] when something still uses it.
    pub async fn unmount_pool(&self) -> Result<(), DataError> {
        let pool = self.pool().display().to_string();
        if command::run("findmnt", &["-n", "-M", &pool], None).await.is_ok() {
            command::run("umount", &[&pool], None).await.map_err(DataError::Pool)?;
        }
        Ok(())
    }

    /// This node's id, made at the first call.
    ///
    /// # Errors
    /// [`DataError::NodeFile`] when the file is there and makes no sense.
    pub fn node_id(&self) -> Result<NodeId, DataError> {
        let path = self.root.join("node.json");
        let io = |source| DataError::Io { path: path.clone(), source };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<NodeFile>(&bytes)
                .map(|file| file.id)
                .map_err(|_| DataError::NodeFile { path: path.clone() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = NodeId::new();
                let bytes = serde_json::to_vec(&NodeFile { id }).unwrap_or_default();
                durable::write_file(&path, &bytes).map_err(io)?;
                Ok(id)
            }
            Err(error) => Err(io(error)),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The rows' file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("pando.db")
    }

    /// The files of the room that VMMs are caged in.
    #[must_use]
    pub fn room(&self) -> PathBuf {
        self.root.join("room")
    }

    /// What builds of templates said.
    pub(crate) fn builds(&self) -> PathBuf {
        self.root.join("builds")
    }

    /// Disks of layers, which builds of templates begin with.
    pub(crate) fn layers(&self) -> PathBuf {
        self.pool().join("layers")
    }

    /// Disks of apps that are kept under a name.
    pub(crate) fn disks(&self) -> PathBuf {
        self.pool().join("disks")
    }

    pub(crate) fn disk(&self, name: &DiskName) -> PathBuf {
        self.disks().join(format!("{name}.raw"))
    }

    /// What the pool can still take, in bytes, as far as it can be told. Its image is
    /// sparse: what is free inside is only there while the disk below has it.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let inside = host::free_disk_bytes(&self.pool())?;
        if !self.pool_image().exists() {
            return Some(inside);
        }
        host::free_disk_bytes(&self.root).map(|below| inside.min(below))
    }

    /// Whether the disk below the pool's image has so much left: of what is short then, only
    /// the pool can give some back. Without an image there is one disk.
    pub(crate) fn has_below(&self, bytes: u64) -> bool {
        self.pool_image().exists()
            && host::free_disk_bytes(&self.root).is_none_or(|free| free >= bytes)
    }

    /// What the pool's image takes and the pool does not use; `None` without an image, or
    /// where it cannot be told.
    pub(crate) fn slack(&self) -> Option<Slack> {
        const BLOCK_BYTES: u64 = 512;
        let taken_bytes = fs::metadata(self.pool_image()).ok()?.blocks() * BLOCK_BYTES;
        let inside = rustix::fs::statvfs(self.pool()).ok()?;
        let used_bytes = inside.f_blocks.saturating_sub(inside.f_bfree) * inside.f_frsize;
        Some(Slack {
            unused_bytes: taken_bytes.saturating_sub(used_bytes),
            free_below_bytes: host::free_disk_bytes(&self.root)?,
        })
    }

    pub(crate) fn pool(&self) -> PathBuf {
        self.root.join("pool")
    }

    /// Whether the pool is a file system in a sparse file, whose blocks need not be there.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        self.pool_image().exists()
    }

    fn pool_image(&self) -> PathBuf {
        self.root.join("pool.xfs")
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.pool().join("staging")
    }

    /// A new name for what is to be gone at the next start, if not before.
    pub(crate) fn grave(&self) -> PathBuf {
        self.staging().join(crate::random::hex::<16>())
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.pool().join("snapshots")
    }

    pub(crate) fn snapshot(&self, id: SnapshotId) -> PathBuf {
        self.snapshots().join(id.to_string())
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.pool().join("volumes")
    }

    pub(crate) fn volume(&self, id: VolumeId) -> PathBuf {
        self.volumes().join(format!("{id}.raw"))
    }

    /// Where a version of a template is kept.
    #[must_use]
    pub fn template(&self, name: &str, version: &str) -> PathBuf {
        self.templates().join(name).join(version)
    }

    pub(crate) fn templates(&self) -> PathBuf {
        self.pool().join("templates")
    }

    pub(crate) fn kernels(&self) -> PathBuf {
        self.pool().join("kernels")
    }

    pub(crate) fn machines(&self) -> PathBuf {
        self.pool().join("machines")
    }

    pub(crate) fn sandboxes(&self) -> PathBuf {
        self.pool().join("sandboxes")
    }

    pub(crate) fn sandbox(&self, id: SandboxId) -> PathBuf {
        self.sandboxes().join(id.to_string())
    }
}
