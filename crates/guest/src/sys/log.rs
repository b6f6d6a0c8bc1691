//! The agent's own log: the kernel's, which the console shows.
//!
//! A line says what went wrong and for which thing; what a session did is the
//! host's to record.

use std::fmt::Arguments;
use std::fs::OpenOptions;
use std::io::Write;

/// Something the machine can go on without.
pub fn info(message: Arguments<'_>) {
    write(6, message);
}

/// Something that keeps the machine from doing its job: of a level that the console
/// shows while a template boots (`loglevel=3`).
pub fn error(message: Arguments<'_>) {
    write(2, message);
}

fn write(level: u8, message: Arguments<'_>) {
    // The kernel takes one record a write, so the line is put together first.
    let record = format!("<{level}>pando: {message}\n");
    let written = OpenOptions::new()
        .write(true)
        .open("/dev/kmsg")
        .and_then(|mut kmsg| kmsg.write_all(record.as_bytes()));
    if written.is_err() {
        eprint!("{}", &record[3..]);
    }
}
