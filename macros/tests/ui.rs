//! Compile errors: their texts and spans.
//!
//! `TRYBUILD=overwrite cargo test -p tidegate-macros` updates the expected texts.

#[test]
fn misuse_is_a_compile_error() {
    let cases = trybuild::TestCases::new();
    for case in [
        "const_fn",
        "no_body",
        "no_limiter",
        "not_a_function",
        "not_a_limiter",
        "option_twice",
        "option_without_value",
        "trailing_tokens",
        "unknown_option",
    ] {
        cases.compile_fail(format!("tests/ui/{case}.rs"));
    }
    // Another crate of the workspace may have enabled the feature.
    if !cfg!(feature = "async") {
        cases.compile_fail("tests/ui/async_without_timer.rs");
    }
}

/// This test is here because the root crate forbids `unsafe`.
#[test]
fn unsafe_functions_stay_unsafe() {
    trybuild::TestCases::new().pass("tests/ui/unsafe_functions.rs");
}
