//! One sandbox on this node.
//!
//! ```text
//!            restored             pause               hibernate
//! Creating ───────────► Running ◄───────► Paused ────────────────► Hibernated
//!    │                   │  │ ▲  resume     │                       ▲    │
//!    │ failed            │  │ └─────────────┼───────────────────────┼────┘ wake
//!    │     machine ended │  └───────────────┼───────────────────────┘
//!    ▼                   ▼                  │ machine ended  hibernate
//!  Failed ◄──────────────┴──────────────────┘
//!    │ wake: booted from its disk, then as from Hibernated
//!    │
//!    └── delete or deadline (from any state) ──► Deleting ──► Deleted
//! ```
//!
//! [`policy`] decides, without clock, socket or file; the one task of [`actor`]
//! acts, so two wishes about one machine can never act at once, and [`handle`] is
//! what others hold of it. What the actor does is in a file for each:
//! [`restore`], `save`, `hibernate`, `boot`, `removal`; `idle` decides
//! when nobody needs it awake, and `doze` looks; `clock` keeps its time. [`manifest`] and [`files`] are
//! what outlives the server: the manifest is written before the machine is made and
//! removed after everything else of it.

pub(crate) mod actor;
mod boot;
mod clock;
pub(crate) mod control_line;
mod doze;
pub(crate) mod files;
pub(crate) mod handle;
mod hibernate;
mod idle;
pub(crate) mod manifest;
pub(crate) mod policy;
mod removal;
pub(crate) mod restore;
mod save;
pub(crate) mod spare;
pub(crate) mod usage;
