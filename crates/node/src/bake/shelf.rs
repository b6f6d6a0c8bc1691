//! Which machines there are, and which of them go when there are too many: anyone who
//! may create may ask for any size, and each that was asked for once is kept.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use pando_vm::driver::Shape;
use pando_vm::sys::durable;

use super::machine::{Machine, MachineKey};
use crate::data::DataDir;

/// How many machines are kept, those in use among them. Each takes some 200 MB of
/// the pool; what has to be baked anew costs its next asker one boot.
pub(super) const MAX_MACHINES: usize = 16;

/// The machines that were baked.
pub(super) struct Shelf {
    data: DataDir,
    loaded: Mutex<Loaded>,
}

/// Those that this server has handed out.
#[derive(Default)]
struct Loaded {
    machines: HashMap<MachineKey, Entry>,
    /// Counts what was handed out.
    uses: u64,
}

struct Entry {
    machine: Arc<Machine>,
    last_use: u64,
}

/// When a machine was last used; those that only an earlier server used come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LastUse {
    Before(SystemTime),
    Now(u64),
}

impl Shelf {
    pub(super) fn new(data: DataDir) -> Self {
        Self { data, loaded: Mutex::default() }
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine of that key, where it was baked. It stays while this is held.
    pub(super) fn take(&self, key: &MachineKey, shape: Shape) -> Option<Arc<Machine>> {
        let mut loaded = self.loaded();
        loaded.uses += 1;
        let last_use = loaded.uses;
        if let Some(entry) = loaded.machines.get_mut(key) {
            entry.last_use = last_use;
            return Some(Arc::clone(&entry.machine));
        }
        let dir = self.data.machines().join(key.to_string());
        if !dir.is_dir() {
            return None;
        }
        // The next server goes by it. Once for each server is enough: those that it
        // does not use at all are what is to be told apart.
        if let Err(error) = fs::File::open(&dir).and_then(|dir| dir.set_modified(SystemTime::now()))
        {
            tracing::debug!(%error, "the use of a machine is not recorded");
        }
        let machine = Arc::new(Machine::new(key.clone(), shape, dir));
        let entry = Entry { machine: Arc::clone(&machine), last_use };
        loaded.machines.insert(key.clone(), entry);
        Some(machine)
    }

    /// Removes the least recently used machines until there is room for one more, as
    /// far as they are not held and not among those `in_use`. Returns how many.
    ///
    /// A machine leaves its place whole and at one instant: one whose removal is cut
    /// off is in `staging`, which the next start empties.
    pub(super) fn make_room(
        &self,
        in_use: impl FnOnce() -> HashSet<MachineKey>,
    ) -> io::Result<usize> {
        let mut graves = Vec::new();
        {
            let mut loaded = self.loaded();
            let mut unheld = Vec::new();
            let mut count = 0;
            for entry in fs::read_dir(self.data.machines())? {
                let entry = entry?;
                let Some(key) = key_of(&entry.file_name()) else { continue };
                count += 1;
                let last_use = match loaded.machines.get(&key) {
                    Some(entry) if Arc::strong_count(&entry.machine) > 1 => continue,
                    Some(entry) => LastUse::Now(entry.last_use),
                    None => LastUse::Before(entry.metadata()?.modified()?),
                };
                unheld.push((last_use, key));
            }
            unheld.sort_by_key(|(last_use, _)| *last_use);
            // Asked only now: whoever lets go of a machine has a sandbox of it by then.
            let in_use = in_use();
            let unused = unheld.into_iter().filter(|(_, key)| !in_use.contains(key));
            for (_, key) in unused.take((count + 1usize).saturating_sub(MAX_MACHINES)) {
                let grave = self.grave(&key);
                durable::remove_dir(&grave)?;
                fs::rename(self.data.machines().join(key.to_string()), &grave)?;
                loaded.machines.remove(&key);
                graves.push(grave);
            }
        }
        for grave in &graves {
            durable::remove_dir(grave)?;
        }
        Ok(graves.len())
    }

    fn grave(&self, key: &MachineKey) -> PathBuf {
        self.data.staging().join(format!("old-machine-{key}"))
    }
}

fn key_of(name: &OsStr) -> Option<MachineKey> {
    name.to_str().and_then(MachineKey::of_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { cpu: 1, memory_mib: 512 };

    fn key(number: usize) -> MachineKey {
        MachineKey::of_name(&format!("{number:032x}")).unwrap()
    }

    fn make(data: &DataDir, number: usize) {
        let dir = data.machines().join(key(number).to_string());
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("memory"), "some").unwrap();
        // In the order of their making, however coarse the file system's clock is.
        let made = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
        fs::File::open(&dir).unwrap().set_modified(made).unwrap();
    }

    fn left(data: &DataDir) -> Vec<usize> {
        let entries = fs::read_dir(data.machines()).unwrap();
        let mut left: Vec<_> = entries
            .filter_map(|entry| key_of(&entry.unwrap().file_name()))
            .map(|key| usize::from_str_radix(&key.to_string(), 16).unwrap())
            .collect();
        left.sort_unstable();
        left
    }

    fn none() -> HashSet<MachineKey> {
        HashSet::new()
    }

    #[tokio::test]
    async fn the_least_recently_used_go_and_those_in_use_stay() {
        let folder = crate::tests::Folder::new();
        let data = DataDir::open(folder.path()).await.unwrap();
        (0..MAX_MACHINES - 1).for_each(|number| make(&data, number));
        fs::create_dir(data.machines().join("something else")).unwrap();
        let shelf = Shelf::new(data.clone());
        assert_eq!(shelf.make_room(none).unwrap(), 0, "there is room for one");
        (MAX_MACHINES - 1..MAX_MACHINES + 4).for_each(|number| make(&data, number));

        // Five too many. 0 was used now, 1 is held, of 2 there is a sandbox.
        drop(shelf.take(&key(0), SHAPE).unwrap());
        let held = shelf.take(&key(1), SHAPE).unwrap();
        assert_eq!(shelf.make_room(|| HashSet::from([key(2)])).unwrap(), 5);
        let kept: Vec<_> = (0..3).chain(8..MAX_MACHINES + 4).collect();
        assert_eq!(left(&data), kept);
        assert!(shelf.take(&key(3), SHAPE).is_none(), "it is gone");
        assert!(held.parts().memory.whole().exists());
        assert_eq!(fs::read_dir(data.staging()).unwrap().count(), 0);

        // A later server knows what this one used.
        drop(held);
        let shelf = Shelf::new(data.clone());
        make(&data, 3);
        assert_eq!(shelf.make_room(none).unwrap(), 1);
        assert_eq!(left(&data), [&[0, 1, 3][..], &kept[3..]].concat());

        // Nothing is taken that is needed, however many that makes.
        let all = || left(&data).into_iter().map(key).collect();
        make(&data, 99);
        assert_eq!(shelf.make_room(all).unwrap(), 0);
        data.unmount_pool().await.unwrap();
    }

    #[tokio::test]
    async fn a_removal_that_was_cut_off_hinders_nothing() {
        let folder = crate::tests::Folder::new();
        let data = DataDir::open(folder.path()).await.unwrap();
        (0..MAX_MACHINES).for_each(|number| make(&data, number));
        let shelf = Shelf::new(data.clone());
        let grave = shelf.grave(&key(0));
        fs::create_dir(&grave).unwrap();
        fs::write(grave.join("memory"), "half").unwrap();
        assert_eq!(shelf.make_room(none).unwrap(), 1);
        assert!(!grave.exists());
        assert_eq!(left(&data), (1..MAX_MACHINES).collect::<Vec<_>>());
        data.unmount_pool().await.unwrap();
    }
}
