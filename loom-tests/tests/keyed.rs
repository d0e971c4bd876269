//! The shipped table of buckets under every model.

use tidegate::FixedKeyed;
use tidegate_loom_tests::bucket_twin::NoClock;
use tidegate_loom_tests::keyed_models as models;
use tidegate_loom_tests::keyed_twin::Same;

type Shipped = FixedKeyed<NoClock, Same>;

#[test]
fn same_new_key() {
    models::same_new_key::<Shipped>();
}

#[test]
fn same_new_key_at_the_last_place() {
    models::same_new_key_at_the_last_place::<Shipped>();
}

#[test]
fn claimed_twice() {
    models::claimed_twice::<Shipped>();
}

#[test]
fn two_keys_at_the_last_place() {
    models::two_keys_at_the_last_place::<Shipped>();
}

#[test]
fn late_helper() {
    models::late_helper::<Shipped>();
}

#[test]
fn given_up_while_charged() {
    models::given_up_while_charged::<Shipped>();
}

#[test]
fn successor_of_a_drained_key() {
    models::successor_of_a_drained_key::<Shipped>();
}

#[test]
fn look_at_a_successor() {
    models::look_at_a_successor::<Shipped>();
}

#[test]
fn given_up_by_a_later_clock() {
    models::given_up_by_a_later_clock::<Shipped>();
}

#[test]
fn back_at_an_older_place() {
    models::back_at_an_older_place::<Shipped>();
}
