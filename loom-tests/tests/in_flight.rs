//! The shipped count of calls in flight under every model.

use tidegate::modelled::ModelledInFlight;
use tidegate_loom_tests::in_flight_models as models;

#[test]
fn two_places_come_back() {
    models::two_places_come_back::<ModelledInFlight>();
}

#[test]
fn a_place_that_is_given_up() {
    models::a_place_that_is_given_up::<ModelledInFlight>();
}
