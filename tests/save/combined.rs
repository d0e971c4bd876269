//! Combinations, by the names of their limits.

use std::sync::Arc;
use std::time::Duration;

use tidegate::{
    Combined, LimitState, ManualClock, Quota, RestoreError, SlidingWindow, TokenBucket,
};

use crate::{SECOND, at, wall};

fn minute() -> SlidingWindow<ManualClock> {
    let length = Duration::from_secs(60);
    SlidingWindow::with_clock(50, length, ManualClock::new()).unwrap()
}

fn burst() -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(5).burst(10), ManualClock::new())
}

fn limits() -> Combined<ManualClock> {
    Combined::builder()
        .limit("minute", minute())
        .limit("burst", burst())
        .build()
}

#[test]
fn limits_are_restored_by_name() {
    let before = limits();
    before.try_acquire_at(7, at(0)).unwrap();
    let saved = before.save_at(at(0), wall(0));
    // Another order, one limit more, and one less.
    let fresh = Combined::builder()
        .limit("new", burst())
        .limit("burst", burst())
        .build();
    let after = Combined::restore_at(&saved, fresh, at(0), wall(SECOND)).unwrap();
    assert_eq!(after.available_in_at("new", at(0)), Some(10));
    assert_eq!(after.available_in_at("burst", at(0)), Some(8));
    let after = Combined::restore_at(&saved, limits(), at(0), wall(SECOND)).unwrap();
    assert_eq!(after.available_in_at("minute", at(0)), Some(43));
}

#[test]
fn limits_of_one_name_keep_their_order() {
    let twice = || {
        Combined::builder()
            .limit("same", burst())
            .limit("same", burst())
            .build()
    };
    let before = twice();
    before.try_acquire_each_at(&[3, 5], at(0)).unwrap();
    let saved = before.save_at(at(0), wall(0));
    let after = Combined::restore_at(&saved, twice(), at(0), wall(0)).unwrap();
    after.try_acquire_each_at(&[7, 5], at(0)).unwrap();
    assert!(after.try_acquire_each_at(&[1, 0], at(0)).is_err());
    assert!(after.try_acquire_each_at(&[0, 1], at(0)).is_err());
}

#[test]
fn kinds_must_agree_and_shared_limits_are_restored_once() {
    let saved = limits().save_at(at(0), wall(0));
    let fresh = Combined::builder().limit("minute", burst()).build();
    let restored = Combined::restore_at(&saved, fresh, at(0), wall(0));
    assert_eq!(restored.unwrap_err(), RestoreError::WrongKind);

    let shared = Arc::new(minute());
    let combined = || Combined::builder().limit("minute", shared.clone()).build();
    let restored = Combined::restore_at(&saved, combined(), at(0), wall(0));
    assert_eq!(restored.unwrap_err(), RestoreError::Shared);
    assert!(matches!(
        saved.state().limit("minute"),
        Some(LimitState::Window(_))
    ));
    assert!(matches!(
        saved.state().limit("burst"),
        Some(LimitState::Bucket(_))
    ));
    assert!(saved.state().limit("hour").is_none());
}
