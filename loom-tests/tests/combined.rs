//! The shipped combination under every model.

use tidegate::Combined;
use tidegate_loom_tests::bucket_twin::NoClock;
use tidegate_loom_tests::combined_models as models;

type Shipped = Combined<NoClock>;

#[test]
fn race_for_the_last() {
    models::race_for_the_last::<Shipped>();
}

#[test]
fn refused_by_the_second() {
    models::refused_by_the_second::<Shipped>();
}

#[test]
fn rollback_across_limits() {
    models::rollback_across_limits::<Shipped>();
}

#[test]
fn nothing_is_lost() {
    models::nothing_is_lost::<Shipped>();
}

#[test]
fn returns_after_an_undo_beside_a_rotation() {
    models::returns_after_an_undo_beside_a_rotation();
}
