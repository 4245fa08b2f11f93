//! Fuzzes the reader of IAM policies, and what is decided by what was read.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sightline_fuzz::policy(data));
