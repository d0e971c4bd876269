//! Fuzzes saved states.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| (tidegate_fuzz::SAVED_STATES.check)(data));

#[cfg(not(fuzzing))]
fn main() {
    tidegate_fuzz::replay::main(&tidegate_fuzz::SAVED_STATES);
}
