//! What every store must keep, whatever database is below it. Each test has a
//! database of its own in a folder that goes with the test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod app;
mod cron;
mod delivery;
mod deployment;
mod domain;
mod event;
mod files;
mod idempotency;
mod job;
mod key;
mod pull_request;
mod repo;
mod sandbox;
mod schedule;
mod snapshot;
mod support;
mod template;
mod volume;
