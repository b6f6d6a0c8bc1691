//! Who waits for jobs is told of them.

use tokio::sync::watch;

use super::kind::Kind;

/// Tells idle workers that there is something to do.
pub(crate) struct Wakes([watch::Sender<()>; Kind::ALL.len()]);

impl Wakes {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| watch::Sender::new(())))
    }

    pub(crate) fn wake(&self, kind: Kind) {
        self.of(kind).send_replace(());
    }

    pub(crate) fn of(&self, kind: Kind) -> &watch::Sender<()> {
        // The order of the variants is that of `ALL`.
        &self.0[kind as usize]
    }
}
