#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ndstore_fuzz::run("stream", bytes));
