//! The requests of one connection: where each head ends, however its bytes arrive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pando_edge::fuzzing::scan;

fuzz_target!(|bytes: &[u8]| {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let whole = scan(bytes, bytes.len().max(1));
    assert!(whole.passed <= bytes.len());
    let mut pieces = scan(bytes, usize::from(*piece).max(1));
    if whole.in_body {
        pieces.passed = whole.passed;
    }
    assert_eq!(pieces, whole, "it depends on how bytes arrive");
});
