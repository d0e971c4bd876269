//! Fuzzes quotas as text: see `tidegate_fuzz::quota_text`.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::quota_text::check(data));

#[cfg(not(fuzzing))]
fn main() {
    tidegate_fuzz::replay::main(&tidegate_fuzz::quota_text::TARGET);
}
