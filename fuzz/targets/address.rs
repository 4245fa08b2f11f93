//! Fuzzes the readers of paths, query strings and headers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sightline_fuzz::address(data));
