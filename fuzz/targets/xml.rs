//! Fuzzes the readers of XML bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sightline_fuzz::xml(data));
