//! A sandbox's manifest, as a start of the server finds it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pando_node::fuzzing::manifest(bytes));
