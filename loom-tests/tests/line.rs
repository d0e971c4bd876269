//! The shipped line of those who wait under every model.

use tidegate::modelled::ModelledLine;
use tidegate_loom_tests::line_models as models;

#[test]
fn everybody_has_a_turn() {
    models::everybody_has_a_turn::<ModelledLine>();
}

#[test]
fn a_turn_that_is_given_up() {
    models::a_turn_that_is_given_up::<ModelledLine>();
}

#[test]
fn nobody_is_overtaken() {
    models::nobody_is_overtaken::<ModelledLine>();
}
