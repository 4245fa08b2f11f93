//! Fuzzes the readers of Query protocol's forms.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sightline_fuzz::form(data));
