//! Webhooks: what a forge says happened. [`signature`] proves who says it,
//! [`event`] reads it, and [`receive`] turns it into rows, a decision and a
//! reason, in one transaction.

pub(crate) mod event;
pub(crate) mod receive;
mod signature;
pub(crate) mod verdict;
