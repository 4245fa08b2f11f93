//! Fuzzes the readers of JSON bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sightline_fuzz::json(data));
