//! How much this host can do: [`turns`] decides whose create goes next, [`room`]
//! whether there is memory and disk for it.

pub(crate) mod room;
pub(crate) mod turns;
