//! The shipped sliding window under every model.

use tidegate::SlidingWindow;
use tidegate_loom_tests::bucket_twin::NoClock;
use tidegate_loom_tests::window_models as models;

type Shipped = SlidingWindow<NoClock>;

#[test]
fn neighbouring_slots() {
    models::neighbouring_slots::<Shipped>();
}

#[test]
fn skipped_slots() {
    models::skipped_slots::<Shipped>();
}

#[test]
fn late_threads() {
    models::late_threads::<Shipped>();
}

#[test]
fn overtaken_rotation() {
    models::overtaken_rotation::<Shipped>();
}

#[test]
fn rollback() {
    models::rollback::<Shipped>();
}

#[test]
fn undone_while_rotating() {
    models::undone_while_rotating::<Shipped>();
}

#[test]
fn look_while_rotating() {
    models::look_while_rotating::<Shipped>();
}

#[test]
fn look_in_the_heads_slot() {
    models::look_in_the_heads_slot::<Shipped>();
}

#[test]
fn hint_while_rotating() {
    models::hint_while_rotating::<Shipped>();
}

#[test]
fn asked_and_called_alike() {
    models::asked_and_called_alike::<Shipped>();
}

#[test]
fn hint_after_an_undo() {
    models::hint_after_an_undo::<Shipped>();
}

#[test]
fn hint_beside_an_undo() {
    models::hint_beside_an_undo::<Shipped>();
}
