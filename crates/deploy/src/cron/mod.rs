//! The cron of apps: commands of a `pando.toml` that are run where an app is live, at certain
//! times or when somebody wants it.
//!
//! Rows say what there is, and the flip writes them with what goes live; so a commit that no
//! longer names a cron has none. When one is due, and what of missed times is made up for, is
//! decided by the policy of sandboxes' schedules ([`pando_node::control::schedules`]); the rows
//! are others because what is run is composed only then, with the environment of that moment.
//!
//! `keeper` is the one task that looks; `run` is one run; `wish` is what a flip writes; `ask` and
//! `list` answer the API.

pub(crate) mod ask;
pub(crate) mod keeper;
pub(crate) mod list;
mod run;
pub(crate) mod wish;
