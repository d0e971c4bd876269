//! Changes of the script that the property tests must detect.

use proptest::prelude::*;

use super::action::cases;
use super::comparison::agrees_with_exact_fractions;
use super::quota_changes::{any_quotas, check_changes, common_quotas};
use super::quotas::all_quotas;
use crate::script_mutants::{assert_all_detected, sample};

#[test]
fn each_mutant_is_detected() {
    let (any, common) = (any_quotas(), common_quotas());
    let cases = cases(all_quotas().boxed(), true, u64::MAX);
    assert_all_detected(include_str!("mutants.txt"), 200, |scripts, runner| {
        agrees_with_exact_fractions(scripts, &sample(&cases, runner)).is_err()
            || check_changes(scripts, &sample(&any, runner), false).is_err()
            || check_changes(scripts, &sample(&common, runner), true).is_err()
    });
}
