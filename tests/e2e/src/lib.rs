//! What the tests in real VMs stand on: a [`Server`] that is the real binary over
//! a data folder that the runs share (so the template is baked once), and that
//! proves at its end that nothing of it is left.
//!
//! A test is five lines about what it tests; processes, ports and cleaning up
//! are here. One test runs at a time (see `.config/nextest.toml`).

mod app;
mod attack;
pub mod bare;
mod chaos;
mod host;
mod sandbox;
mod server;

pub use app::{App, remove_apps};
pub use attack::Attack;
pub use chaos::{Random, kill, kill_a_machine, machines, orphans};
pub use host::{leftovers, pool, prefix, run, vmm_of};
pub use pando_vm::sys::fault::Fault;
pub use sandbox::{Answer, Sandbox};
pub use server::{Options, Server, program, test_data};
