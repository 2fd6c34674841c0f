#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chimera_fuzz::line::run(bytes));
