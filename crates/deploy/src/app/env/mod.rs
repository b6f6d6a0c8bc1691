//! An app's environment, variable by variable: [`model`] says who is given what, [`judge`] what
//! may be in it, [`dotenv`] reads `.env` files, [`change`] writes and [`list`] shows.

pub(crate) mod change;
pub(crate) mod dotenv;
pub(crate) mod judge;
pub(crate) mod list;
mod model;

pub(crate) use change::changed;
pub(crate) use model::Environments;
