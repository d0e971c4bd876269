//! The shipped token bucket under every model.

use tidegate::TokenBucket;
use tidegate_loom_tests::bucket_models as models;
use tidegate_loom_tests::bucket_twin::NoClock;

type Shipped = TokenBucket<NoClock>;

#[test]
fn exact_total() {
    models::exact_total::<Shipped>();
}

#[test]
fn stale_reader() {
    models::stale_reader::<Shipped>();
}

#[test]
fn three_threads() {
    models::three_threads::<Shipped>();
}

#[test]
fn cancel() {
    models::cancel::<Shipped>();
}

#[test]
fn rollback() {
    models::rollback::<Shipped>();
}

#[test]
fn credit_and_cancel() {
    models::credit_and_cancel::<Shipped>();
}

#[test]
fn idle_for_half_a_circle() {
    models::idle_for_half_a_circle::<Shipped>();
}

#[test]
fn reading_of_half_a_circle_ago() {
    models::reading_of_half_a_circle_ago::<Shipped>();
}

#[test]
fn drained_half_a_circle_later() {
    models::drained_half_a_circle_later::<Shipped>();
}

#[test]
fn looked_at_after_half_a_circle() {
    models::looked_at_after_half_a_circle::<Shipped>();
}
