//! What is said to mistakes, and where it points. `TRYBUILD=overwrite cargo test -p tidegate-macros` writes what is said now.

#[test]
fn mistakes_are_pointed_at() {
    let cases = trybuild::TestCases::new();
    for mistake in [
        "const_fn",
        "no_body",
        "no_limiter",
        "not_a_function",
        "not_a_limiter",
        "option_twice",
        "option_without_value",
        "trailing_garbage",
        "unknown_option",
    ] {
        cases.compile_fail(format!("tests/ui/{mistake}.rs"));
    }
    // The feature may have been turned on by another crate of the workspace.
    if !cfg!(feature = "async") {
        cases.compile_fail("tests/ui/async_without_tokio.rs");
    }
}

/// Which are not in the root's tests, as it forbids `unsafe` there too.
#[test]
fn unsafe_functions_stay_unsafe() {
    trybuild::TestCases::new().pass("tests/ui/unsafe_functions.rs");
}
