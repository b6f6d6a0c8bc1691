//! Deployments from webhook to host, whole but for the VM: a real forge, real git,
//! real rows, and machines that are folders and processes of this host.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

mod again;
mod cron;
mod deployment;
mod dns;
mod domain;
mod env;
mod git_access;
mod image;
mod machine;
mod preview;
mod processes;
mod repo;
mod restart;
mod revive;
mod run_log;
mod webhook;
mod world;
