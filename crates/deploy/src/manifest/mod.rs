//! `pando.toml`: the file in a repository that says how it is deployed. Pure. Users read
//! of it in `docs/pando-toml.md`.
//!
//! `keys` is every key there is, with what it may hold: data, and the only place that
//! knows. `read` checks a text against it and says all that is wrong, each with its
//! place; `schema` writes the same as a JSON schema; `Manifest` is what a good text
//! says. `crate::detect` decides what becomes of it.
//!
//! Whatever a text holds, reading it ends: the text is bounded, and so is what is said of
//! it.

mod document;
mod keys;
mod near;
mod problem;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use document::{Manifest, Stage};
pub use problem::Problems;
pub(crate) use read::read;
pub use schema::schema;

/// What the file is called.
pub const FILE_NAME: &str = "pando.toml";
/// The largest that is read, in bytes.
pub const MAX_BYTES: usize = 64 << 10;

/// Says what is wrong with the text of a file, which `file` names.
///
/// # Errors
/// [`Problems`]: where the text is not TOML, or holds what Pando does not know.
pub fn check(file: &str, text: &str) -> Result<(), Problems> {
    read(file, text).map(drop)
}
