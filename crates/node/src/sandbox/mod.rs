//! One sandbox on this node.
//!
//! ```text
//!            restored             pause              
//! Creating ───────────► Running ◄───────► Paused
//!    │                     │      resume     │
//!    │ failed              │ machine ended   │ machine ended
//!    ▼                     ▼                 ▼
//!  Failed ◄───────────── Failed ◄────────────┘
//!    │                     
//!    └── delete or deadline (from any state) ──► Deleting ──► Deleted
//! ```
//!
//! [`policy`] decides, without clock, socket or file; the one task of [`actor`]
//! acts, so two wishes about one machine can never act at once, and [`handle`] is
//! what others hold of it. [`manifest`] is
//! what outlives the server: it is written before the machine is made and
//! removed after everything else of it.

pub(crate) mod actor;
pub(crate) mod control_line;
pub(crate) mod handle;
pub(crate) mod manifest;
pub(crate) mod policy;
