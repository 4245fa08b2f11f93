//! Fuzzes the readers of signatures, in headers and in queries.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sightline_fuzz::signature(data));
