//! Apps: a repository and a branch with a stable host. [`settings`] judges what a
//! user asks for; [`git_access`] is with what its repository is read; [`create`], [`update`],
//! [`remove`] change rows, [`env`] variable by variable; [`view`] is what the API shows.

pub(crate) mod branch;
pub(crate) mod create;
pub(crate) mod env;
pub(crate) mod find;
pub(crate) mod git_access;
pub(crate) mod label;
pub(crate) mod remove;
pub(crate) mod settings;
pub(crate) mod update;
pub(crate) mod view;
