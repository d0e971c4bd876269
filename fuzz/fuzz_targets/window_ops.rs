//! Fuzzes `SlidingWindow`: see `tidegate_fuzz::window_ops`.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_fuzz::window_ops::check(data));

#[cfg(not(fuzzing))]
fn main() {
    tidegate_fuzz::replay::main(&tidegate_fuzz::window_ops::TARGET);
}
