//! What can be made anew goes when the disk is short: the least recently used first, and
//! nothing that is in use.
//!
//! `policy` decides, from a list; `sweep` acts, alone at any time: soon after a start
//! and now and then (before the disk is so short that work is refused), and once before
//! anything is refused for the lack of disk. What is not short of disk never comes here.
//! `caches` are those of the pool; others name theirs ([`Node::evict_from`](crate::Node)).
//!
//! Each thing leaves its place whole and at one instant, so a server that ends in between
//! leaves it there, or what the next start removes. When a thing was last used is the time
//! of its file or folder ([`touch`]), which outlasts the server.

pub(crate) mod caches;
mod counts;
mod policy;

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::time::Instant;

pub(crate) use self::counts::Counts;
use crate::capacity::room;
use crate::shared::Shared;

/// When it is looked at first: what a start asks for is in use by then.
const LOOK_FIRST: Duration = Duration::from_secs(5);
/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// What was used within this is left alone while nothing is refused: it would be made anew
/// at once.
const SPARED: Duration = Duration::from_secs(3600);
/// What was used within this is as good as in use even then: else each of many refused
/// creates would bake the machine that the one before had to give up.
const USED_LATELY: Duration = Duration::from_secs(600);
/// When nothing was left that may go, who is refused next is refused at once, for so long.
const IN_VAIN_FOR: Duration = Duration::from_secs(5);
/// How long the file system is given to free what was removed.
const SETTLE_TRIES: u32 = 40;
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// A thing that a later request makes anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// What its cache knows it by.
    pub name: String,
    /// What comes free when it goes, in bytes.
    pub bytes: u64,
    /// When it was last used.
    pub last_use: SystemTime,
    /// It is in use: it may not go.
    pub is_used: bool,
}

/// Things of one kind, each of which a later request makes anew. It does I/O, and blocks.
pub trait Cache: Send + Sync {
    /// What they are, for logs and metrics.
    fn kind(&self) -> &'static str;

    /// Those that there are.
    ///
    /// # Errors
    /// When they cannot be read.
    fn things(&self) -> io::Result<Vec<Thing>>;

    /// Removes one, unless it has come into use or is gone: whether it was removed. It
    /// leaves its place at one instant.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, name: &str) -> io::Result<bool>;
}

/// Records that a file or folder is used now, for [`Thing::last_use`]. It must not keep
/// anyone from using it: a failure is only told.
pub fn touch(path: &Path) {
    let touched = std::fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = touched {
        tracing::debug!(%error, path = %path.display(), "its use is not recorded");
    }
}

/// Who makes room, and what came of it.
#[derive(Default)]
pub(crate) struct Garbage {
    /// Those that are not the node's own, and not in the pool.
    others: RwLock<Vec<Arc<dyn Cache>>>,
    /// Held by who makes room.
    turn: Arc<Mutex<Option<InVain>>>,
    pub counts: Counts,
}

/// Until when it is known that so many bytes cannot be had.
#[derive(Debug)]
struct InVain {
    enough: u64,
    until: Instant,
}

impl Garbage {
    pub(crate) fn add(&self, cache: Arc<dyn Cache>) {
        self.others.write().unwrap_or_else(PoisonError::into_inner).push(cache);
    }

    fn others(&self) -> Vec<Arc<dyn Cache>> {
        self.others.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What room is made for.
#[derive(Debug, Clone, Copy)]
struct Wish {
    /// So many bytes are to be free.
    enough: u64,
    /// What was used within this stays.
    spared: Duration,
    /// Whether things go even if that is not enough.
    any_helps: bool,
}

/// Looks until the server stops.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let wish = Wish { enough: room::SCARCE_DISK_BYTES, spared: SPARED, any_helps: true };
    let mut pause = LOOK_FIRST;
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        make_room(&shared, wish).await;
        pause = LOOK_EVERY;
    }
}

/// Makes room where what stays free is used up, and whatever is begun would be refused.
pub(crate) async fn make_room_to_go_on(shared: &Arc<Shared>) {
    let enough = room::DISK_RESERVE_BYTES;
    make_room(shared, Wish { enough, spared: USED_LATELY, any_helps: true }).await;
}

/// Makes room for so many bytes, or none: whoever asks for more than there can be costs
/// nobody what they keep.
pub(crate) async fn make_room_for(shared: &Arc<Shared>, bytes: u64) {
    let enough = room::DISK_RESERVE_BYTES.saturating_add(bytes);
    make_room(shared, Wish { enough, spared: USED_LATELY, any_helps: false }).await;
}

async fn make_room(shared: &Arc<Shared>, wish: Wish) {
    let mut in_vain = Arc::clone(&shared.garbage.turn).lock_owned().await;
    // Whoever came before may have made enough, or found that there is none.
    let is_known = |vain: &InVain| wish.enough >= vain.enough && Instant::now() < vain.until;
    if missing(shared, wish.enough).is_none() || in_vain.as_ref().is_some_and(is_known) {
        return;
    }
    let this = Arc::clone(shared);
    // It goes on, and keeps its turn, when who asked goes away; the server waits for it.
    let swept = shared.tasks.spawn_blocking(move || {
        sweep(&this, wish);
        let is_in_vain = wish.spared < SPARED && missing(&this, wish.enough).is_some();
        let vain = InVain { enough: wish.enough, until: Instant::now() + IN_VAIN_FOR };
        *in_vain = is_in_vain.then_some(vain);
    });
    if let Err(error) = swept.await {
        tracing::error!(%error, "making room on the disk broke off");
    }
}

/// How many bytes there are too few; a disk that cannot be asked has enough.
fn missing(shared: &Shared, enough: u64) -> Option<u64> {
    let free = shared.data.free_bytes()?;
    enough.checked_sub(free).filter(|missing| *missing > 0)
}

/// Removes things until so much is free, or nothing is left that may go. What one shares
/// with another comes free with the other, so it looks again after each round.
fn sweep(shared: &Arc<Shared>, wish: Wish) {
    let enough = wish.enough;
    let own = caches::of(shared);
    // What is not in the pool helps where the disk below it is what is short.
    let is_below_short = !shared.data.has_below(enough);
    let others = if is_below_short { shared.garbage.others() } else { Vec::new() };
    let caches: Vec<&dyn Cache> =
        own.iter().map(|cache| &**cache).chain(others.iter().map(|cache| &**cache)).collect();
    while let Some(bytes) = missing(shared, enough)
        && !shared.stopping.is_cancelled()
    {
        let (mut things, mut caches_of) = (Vec::new(), Vec::new());
        for cache in &caches {
            match cache.things() {
                Ok(found) => {
                    caches_of.resize(caches_of.len() + found.len(), *cache);
                    things.extend(found);
                }
                Err(error) => tracing::warn!(%error, kind = cache.kind(), "cannot be looked at"),
            }
        }
        let chosen = policy::choose(&things, bytes, SystemTime::now(), wish.spared);
        let most: u64 = chosen.iter().map(|place| things[*place].bytes).sum();
        if most < bytes && !wish.any_helps {
            return;
        }
        let mut removed_bytes = 0;
        for place in chosen {
            if remove(shared, caches_of[place], &things[place]) {
                removed_bytes += things[place].bytes;
            }
        }
        if removed_bytes == 0 {
            return;
        }
        settle(shared, enough, bytes.saturating_sub(removed_bytes));
    }
}

fn remove(shared: &Shared, cache: &dyn Cache, thing: &Thing) -> bool {
    let (kind, name) = (cache.kind(), &thing.name);
    match cache.remove(name) {
        Ok(true) => {
            let idle = SystemTime::now().duration_since(thing.last_use).unwrap_or_default();
            let (bytes, idle_secs) = (thing.bytes, idle.as_secs());
            tracing::info!(kind, name, bytes, idle_secs, "removed: the disk is short");
            shared.garbage.counts.add(kind, bytes);
            true
        }
        Ok(false) => false,
        Err(error) => {
            tracing::warn!(kind, name, %error, "it stays, and the disk is short");
            false
        }
    }
}

/// Waits until what was removed is free: until no more is missing than `left`. A file
/// system frees it in its own time, and the disk below a pool's image has it back only
/// when it is told.
fn settle(shared: &Shared, enough: u64, left: u64) {
    for _ in 0..SETTLE_TRIES {
        if missing(shared, enough).unwrap_or(0) <= left || shared.stopping.is_cancelled() {
            return;
        }
        if !shared.data.has_below(enough)
            && let Err(error) = pando_vm::sys::trim::trim(&shared.data.pool())
        {
            tracing::debug!(%error, "what was removed stays taken of the disk");
        }
        std::thread::sleep(SETTLE_PAUSE);
    }
}
