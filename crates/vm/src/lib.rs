//! One microVM: everything that is true of a machine by itself.
//!
//! - [`driver`]: what Pando asks of a hypervisor, and QEMU's answer. Read
//!   [`driver::Hypervisor`] first.
//! - [`cage`]: what holds a VMM, so that a guest that breaks out finds nothing.
//! - [`memory`]: saving what a running machine has in memory.
//! - [`network`]: the network slot a machine lives in.
//! - [`sys`]: the one place for each kernel facility and each outside tool.
//!
//! What never lives here: which machines exist, why, and for how long (that is
//! the node's), and what is said to a guest (that is the guest protocol's).

pub mod cage;
pub mod driver;
pub mod memory;
pub mod network;
pub mod sys;
