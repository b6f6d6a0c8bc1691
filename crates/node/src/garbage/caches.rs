//! What of the pool can be made anew: baked machines, root disks and kernels by the next
//! bake, the layers of an org by its next build.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pando_vm::sys::{durable, extents};

use super::{Cache, Thing};
use crate::bake::MachineKey;
use crate::shared::Shared;

const BLOCK_BYTES: u64 = 512;
/// How many pieces of one file are looked at; of more, all counts as its own.
const MAX_EXTENTS: usize = 1 << 16;

/// All of them.
pub(super) fn of(shared: &Arc<Shared>) -> Vec<Box<dyn Cache>> {
    vec![
        Box::new(Machines(Arc::clone(shared))),
        Box::new(Files { kind: "layers", dir: shared.data.layers() }),
        Box::new(Files { kind: "app_disk", dir: shared.data.disks() }),
        Box::new(RootDisks(Arc::clone(shared))),
        Box::new(Kernels(Arc::clone(shared))),
    ]
}

/// Baked machines. One that there are sandboxes of stays: they share its memory.
struct Machines(Arc<Shared>);

impl Cache for Machines {
    fn kind(&self) -> &'static str {
        "machine"
    }

    fn things(&self) -> io::Result<Vec<Thing>> {
        let in_use = self.0.machines();
        let shelf = self.0.bakery.shelf();
        let thing = |(key, last_use, is_held): (MachineKey, _, _)| Thing {
            name: key.to_string(),
            bytes: own_bytes(&self.0.data.machines().join(key.to_string())),
            last_use,
            is_used: is_held || in_use.contains(&key),
        };
        Ok(shelf.all()?.into_iter().map(thing).collect())
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        let Some(key) = MachineKey::of_name(name) else { return Ok(false) };
        self.0.bakery.shelf().remove(&key, || self.0.machines())
    }
}

/// Disks that are a file each: what builds of templates leave for the next, and what is kept
/// of apps. One that a machine begins with has a second name meanwhile.
struct Files {
    kind: &'static str,
    dir: PathBuf,
}

impl Cache for Files {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn things(&self) -> io::Result<Vec<Thing>> {
        let mut things = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if let (Some(name), true) = (entry.file_name().to_str(), metadata.is_file()) {
                things.push(Thing {
                    name: name.to_owned(),
                    bytes: own_bytes(&entry.path()),
                    last_use: metadata.modified()?,
                    is_used: metadata.nlink() > 1,
                });
            }
        }
        Ok(things)
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        // Whoever begins with it just now has its own name of it by then, or begins without.
        match fs::remove_file(self.dir.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }
}

/// Root disks of recipes as they once were.
struct RootDisks(Arc<Shared>);

impl Cache for RootDisks {
    fn kind(&self) -> &'static str {
        "root_disk"
    }

    fn things(&self) -> io::Result<Vec<Thing>> {
        let root = self.0.data.templates();
        let mut things = Vec::new();
        for template in dirs(&root)? {
            for version in dirs(&root.join(&template))? {
                let dir = root.join(&template).join(&version);
                things.push(Thing {
                    bytes: own_bytes(&dir),
                    last_use: fs::metadata(&dir)?.modified()?,
                    is_used: self.0.bakery.needs_disk(&template, &version),
                    name: format!("{template}/{version}"),
                });
            }
        }
        Ok(things)
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        let Some((template, version)) = name.split_once('/') else { return Ok(false) };
        let dir = self.0.data.template(template, version);
        self.0.bakery.while_nothing_bakes(|bakery| {
            if bakery.needs_disk(template, version) {
                return Ok(false);
            }
            bury(&self.0, &dir)
        })
    }
}

/// Kernels that were unpacked for guests, and are not the one that guests have now.
struct Kernels(Arc<Shared>);

impl Cache for Kernels {
    fn kind(&self) -> &'static str {
        "kernel"
    }

    fn things(&self) -> io::Result<Vec<Thing>> {
        let root = self.0.data.kernels();
        let thing = |name: String| {
            let dir = root.join(&name);
            Ok(Thing {
                bytes: own_bytes(&dir),
                last_use: fs::metadata(&dir)?.modified()?,
                is_used: self.0.bakery.needs_kernel(&dir),
                name,
            })
        };
        dirs(&root)?.into_iter().map(thing).collect()
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        let dir = self.0.data.kernels().join(name);
        if self.0.bakery.needs_kernel(&dir) { Ok(false) } else { bury(&self.0, &dir) }
    }
}

/// Takes a folder from its place, at one instant, and then removes it.
fn bury(shared: &Shared, dir: &Path) -> io::Result<bool> {
    let grave = shared.data.grave();
    match fs::rename(dir, &grave) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(()) => durable::remove_dir(&grave).map(|()| true),
    }
}

/// The names of the folders in one.
fn dirs(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// What comes free with a file or folder, in bytes, as far as it can be told.
fn own_bytes(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    if metadata.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        return paths.iter().map(|path| own_bytes(path)).sum();
    }
    if !metadata.is_file() {
        return 0;
    }
    match extents::held(path, &mut MAX_EXTENTS.clone()) {
        Ok(Some(held)) => held.own_bytes,
        Ok(None) | Err(_) => metadata.blocks() * BLOCK_BYTES,
    }
}
