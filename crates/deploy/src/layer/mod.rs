//! Layers: the disk of an app after its install, kept under a hash of what went into it, so
//! that the next deployment with the same need not install again.
//!
//! `key` says what goes into the hash; `name` what the disks are called, and who may begin
//! with which. A layer is a disk and no memory, and holds what install left on it.

mod key;
mod name;

pub(crate) use key::Recipe;
pub(crate) use name::{Layer, built, prefixes};
