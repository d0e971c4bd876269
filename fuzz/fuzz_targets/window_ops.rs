//! Fuzzes `SlidingWindow`.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| (tidegate_fuzz::WINDOW_OPS.check)(data));

#[cfg(not(fuzzing))]
fn main() {
    tidegate_fuzz::replay::main(&tidegate_fuzz::WINDOW_OPS);
}
