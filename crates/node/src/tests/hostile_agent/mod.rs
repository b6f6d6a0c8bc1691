//! The node against guests that answer falsely: on the control line, in sessions,
//! and at a restart of the server.
//!
//! Whatever the guest says or does not say, four things hold, and each case here
//! looks at all of them: the asker gets an error within a limit, the node's memory
//! stays bounded, no task or connection of the exchange is left, and the sandbox
//! beside it answers as before. Limits of minutes cost no minutes: see `clock`.
//!
//! - `world`: a node in a network namespace of its own, with one friendly sandbox.
//! - `machines`: the hypervisor, whose guests say on their control line what a test wants.
//! - `agent`: the other end of sessions, for all guests at once.
//! - `ask`: what is asked.
//! - `control_line`, `sessions`, `streams`, `floods`: the cases.

mod agent;
mod ask;
mod clock;
mod control_line;
mod floods;
mod machines;
mod memory;
mod say;
mod sessions;
mod streams;
mod world;
