//! Which machines there are, and which of them go when there are too many: anyone who
//! may create may ask for any size, and each that was asked for once is kept.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use pando_vm::driver::Shape;
use pando_vm::sys::durable;

use super::machine::{Machine, MachineKey};
use crate::data::DataDir;
use crate::garbage;

/// How many machines are kept, those in use among them. Each takes some 200 MB of
/// the pool; what has to be baked anew costs its next asker one boot.
pub(super) const MAX_MACHINES: usize = 16;

/// The machines that were baked.
pub(crate) struct Shelf {
    data: DataDir,
    loaded: Mutex<Loaded>,
}

/// Those that this server has handed out.
type Loaded = HashMap<MachineKey, Entry>;

struct Entry {
    machine: Arc<Machine>,
    last_use: SystemTime,
    /// The last use that the next server will know of.
    recorded: SystemTime,
}

/// How old the recorded use of a machine becomes while it is used.
const RECORD_EVERY: Duration = Duration::from_secs(600);

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
        let now = SystemTime::now();
        let dir = self.data.machines().join(key.to_string());
        if let Some(entry) = loaded.get_mut(key) {
            entry.last_use = now;
            if now.duration_since(entry.recorded).is_ok_and(|age| age >= RECORD_EVERY) {
                entry.recorded = now;
                garbage::touch(&dir);
            }
            return Some(Arc::clone(&entry.machine));
        }
        if !dir.is_dir() {
            return None;
        }
        garbage::touch(&dir);
        let machine = Arc::new(Machine::new(key.clone(), shape, dir));
        let entry = Entry { machine: Arc::clone(&machine), last_use: now, recorded: now };
        loaded.insert(key.clone(), entry);
        Some(machine)
    }

    /// Every machine, when it was last used, and whether it is held.
    pub(crate) fn all(&self) -> io::Result<Vec<(MachineKey, SystemTime, bool)>> {
        self.list(&self.loaded())
    }

    fn list(&self, loaded: &Loaded) -> io::Result<Vec<(MachineKey, SystemTime, bool)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.data.machines())? {
            let entry = entry?;
            let Some(key) = key_of(&entry.file_name()) else { continue };
            let (last_use, is_held) = match loaded.get(&key) {
                Some(entry) => (entry.last_use, is_held(entry)),
                None => (entry.metadata()?.modified()?, false),
            };
            all.push((key, last_use, is_held));
        }
        Ok(all)
    }

    /// Removes a machine, unless it is held or among those `in_use`: whether it was.
    pub(crate) fn remove(
        &self,
        key: &MachineKey,
        in_use: impl FnOnce() -> HashSet<MachineKey>,
    ) -> io::Result<bool> {
        let grave = {
            let mut loaded = self.loaded();
            // Asked only then: whoever lets go of a machine has a sandbox of it by then.
            if loaded.get(key).is_some_and(is_held) || in_use().contains(key) {
                return Ok(false);
            }
            self.bury(&mut loaded, key)?
        };
        durable::remove_dir(&grave).map(|()| true)
    }

    /// Removes the least recently used machines until there is room for one more, as
    /// far as they are not held and not among those `in_use`. Returns how many.
    pub(super) fn make_room(
        &self,
        in_use: impl FnOnce() -> HashSet<MachineKey>,
    ) -> io::Result<usize> {
        let mut graves = Vec::new();
        {
            let mut loaded = self.loaded();
            let mut all = self.list(&loaded)?;
            let too_many = (all.len() + 1).saturating_sub(MAX_MACHINES);
            all.sort_by_key(|(_, last_use, _)| *last_use);
            // Asked only now: whoever lets go of a machine has a sandbox of it by then.
            let in_use = in_use();
            let unused =
                all.into_iter().filter(|(key, _, is_held)| !is_held && !in_use.contains(key));
            for (key, ..) in unused.take(too_many) {
                graves.push(self.bury(&mut loaded, &key)?);
            }
        }
        for grave in &graves {
            durable::remove_dir(grave)?;
        }
        Ok(graves.len())
    }

    /// A machine leaves its place whole and at one instant: one whose removal is cut
    /// off is in `staging`, which the next start empties.
    fn bury(&self, loaded: &mut Loaded, key: &MachineKey) -> io::Result<PathBuf> {
        let grave = self.grave(key);
        durable::remove_dir(&grave)?;
        fs::rename(self.data.machines().join(key.to_string()), &grave)?;
        loaded.remove(key);
        Ok(grave)
    }

    fn grave(&self, key: &MachineKey) -> PathBuf {
        self.data.staging().join(format!("old-machine-{key}"))
    }
}

fn is_held(entry: &Entry) -> bool {
    Arc::strong_count(&entry.machine) > 1
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
