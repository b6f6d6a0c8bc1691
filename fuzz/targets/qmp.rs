//! What a VMM answers on its monitor, and what it may call itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pando_fuzz::against;
use pando_vm::driver::qemu::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    let _ = against(bytes, fuzzing::ask);
    fuzzing::name(&String::from_utf8_lossy(bytes));
});
