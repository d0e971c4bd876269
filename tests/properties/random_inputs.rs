//! Runs the checks of the fuzz targets over random inputs.

#[cfg(feature = "serde")]
use crate::oracles::saved_states;
use crate::oracles::{bucket_ops, quota_text, window_ops};
use proptest::prelude::*;

/// Bytes that choose a limiter, and up to a hundred calls with their times.
fn any_input() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1_000,
        // Each failing run prints its calls.
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn bucket_agrees_with_exact_arithmetic(input in any_input()) {
        bucket_ops::check(&input);
    }

    #[test]
    fn window_agrees_with_list_of_admissions(input in any_input()) {
        window_ops::check(&input);
    }

    #[test]
    #[cfg(feature = "serde")]
    fn saved_states_agree_with_their_checks(
        kind in 0_u8..2, mut input in prop::collection::vec(any::<u8>(), 1..120),
    ) {
        input[0] = kind;
        saved_states::check(&input);
    }

    #[test]
    fn valid_quota_text_is_read_back(mut input in prop::collection::vec(any::<u8>(), 1..100)) {
        // The first byte selects a valid text.
        input[0] = 0;
        quota_text::check(&input);
    }

    #[test]
    fn any_text_is_parsed_alike_by_both_parsers(
        text in prop_oneof![
            "[0-9 _/a-zA-Z=kM.é]{0,24}",
            "[0-9]{1,21}( per |/)[0-9]{0,21}[a-z]{0,7}( burst [0-9]{0,21})?",
            "[0-9]{0,3}\\.[0-9]{0,21}[kM]?/[0-9]{0,3}(s|ms|day|month)( burst [0-9]{0,4})?",
            "\\PC{0,40}",
        ],
    ) {
        quota_text::check(text.as_bytes());
    }
}
