//! Fuzzes the readers of bodies framed as aws-chunked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sightline_fuzz::chunked(data));
