//! How much this host can do: [`turns`] decides whose create goes next, [`room`]
//! whether there is memory and disk for it now, [`promised`] how much memory all may
//! come to take together.

pub(crate) mod promised;
pub(crate) mod room;
pub(crate) mod turns;
