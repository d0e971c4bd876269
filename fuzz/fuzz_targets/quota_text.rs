//! Fuzzes quotas as text.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| (tidegate_fuzz::QUOTA_TEXT.check)(data));

#[cfg(not(fuzzing))]
fn main() {
    tidegate_fuzz::replay::main(&tidegate_fuzz::QUOTA_TEXT);
}
