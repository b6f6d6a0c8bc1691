//! Webhooks: what a forge says happened. [`signature`] proves who says it,
//! [`event`] reads it, [`receive`] turns it into rows, a decision and a reason, in
//! one transaction; [`list`] shows them to whom they are about.

pub(crate) mod event;
pub(crate) mod list;
pub(crate) mod receive;
mod signature;
mod skip;
pub(crate) mod verdict;
