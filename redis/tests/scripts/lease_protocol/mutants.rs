//! Changes of the scripts that the property tests must detect.

use super::histories::histories;
use super::returned_grants::{check_returned, returned_grants};
use super::simulation::check_history;
use crate::script_mutants::{assert_all_detected, sample};

#[test]
fn each_mutant_is_detected() {
    let (histories, grants) = (histories(), returned_grants());
    assert_all_detected(include_str!("mutants.txt"), 300, |scripts, runner| {
        check_history(scripts, &sample(&histories, runner)).is_err()
            || check_returned(scripts, &sample(&grants, runner)).is_err()
    });
}
