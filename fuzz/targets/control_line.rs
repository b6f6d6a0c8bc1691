//! A guest's control line, as the host reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pando_fuzz::against;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = against(bytes, pando_node::fuzzing::wait_for_ready) {
        assert!(error.len() < 4096, "an error of {} bytes", error.len());
        assert!(!error.contains(char::is_control), "{error:?}");
    }
});
