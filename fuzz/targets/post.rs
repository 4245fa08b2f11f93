//! Fuzzes the readers of uploads by forms.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sightline_fuzz::post(data));
