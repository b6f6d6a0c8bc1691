//! Work that outlives requests and restarts: job rows. Who does them is in `worker`.
//!
//! Every job looks at the rows first and does what is left to do: it may be put
//! twice, run twice, and be cut at any point.

mod kind;
mod outcome;
mod put;
mod wakes;

pub(crate) use kind::Kind;
pub(crate) use outcome::{Outcome, backoff};
pub(crate) use put::{Payload, put_app, put_deployment, put_domain};
pub(crate) use wakes::Wakes;
