//! Shadows and tracked tables as members of tuples: a call is counted if all admit it, or by the
//! member that refuses it.

use core::time::Duration;

use tidegate::{
    AllOrNothing, FixedKeyed, KeyedShadow, Limiter, ManualClock, Quota, Shadow, TrackDenied,
};

use crate::{bucket, counts};

fn table(burst: u64, clock: &ManualClock) -> FixedKeyed<ManualClock> {
    FixedKeyed::with_clock(Quota::per_second(1).burst(burst), 100, clock.clone())
}

#[test]
fn only_the_member_that_refuses_counts_a_refusal() {
    let clock = ManualClock::new();
    let total = Shadow::beside(bucket(4, &clock), bucket(3, &clock));
    let users = TrackDenied::<_, String>::new(table(2, &clock), 10);
    let users = KeyedShadow::beside(users, table(1, &clock));
    let ask = |user: &str| (&total, users.at(user)).try_acquire(1).is_ok();

    assert_eq!(
        [ask("mallory"), ask("mallory"), ask("mallory")],
        [true, true, false]
    );
    assert_eq!(counts(total.stats()), [2, 0, 0, 0]);
    assert_eq!(counts(users.stats()), [1, 1, 0, 1]);
    assert_eq!(
        [ask("alice"), ask("bob"), ask("carol")],
        [true, true, false]
    );
    // Carol is refused by the total alone.
    assert_eq!(counts(total.stats()), [3, 1, 0, 1]);
    assert_eq!(counts(users.stats()), [3, 1, 0, 1]);
    let top = users.live().most_denied().top(10);
    assert_eq!((top.keys.len(), top.keys[0].at_least), (1, 1));
    // A peek is no call.
    assert!((&total, users.at("mallory")).peek(1).is_err());
    assert_eq!(users.live().most_denied().top(10), top);
    // A member that is charged nothing is not asked.
    assert!(
        (&total, users.at("mallory"))
            .try_acquire_each([5, 0])
            .is_err()
    );
    assert_eq!(counts(total.stats()), [3, 1, 0, 2]);
    assert_eq!(users.live().most_denied().top(10), top);
}

#[test]
fn waits_of_tuples_are_counted_once() {
    let clock = ManualClock::new();
    let total = Shadow::beside(bucket(9, &clock), bucket(1, &clock));
    let users = TrackDenied::<_, String>::new(table(2, &clock), 10);
    let users = KeyedShadow::beside(users, table(1, &clock));
    for _ in 0..2 {
        assert_eq!((&total, users.at("mallory")).acquire(1).wait(), Ok(()));
    }
    assert_eq!(counts(total.stats()), [1, 1, 0, 0]);
    assert_eq!(counts(users.stats()), [1, 1, 0, 0]);
    let limits = (&total, users.at("mallory"));
    let refused = limits.acquire(1).timeout(Duration::from_millis(1)).wait();
    assert!(refused.is_err());
    // The user's limit refuses, the total does not.
    assert_eq!(counts(total.stats()), [1, 1, 0, 0]);
    assert_eq!(counts(users.stats()), [1, 1, 0, 1]);
    assert_eq!(users.live().most_denied().top(10).counted, 1);
}

#[test]
fn undo_of_a_key_undoes_both_tables() {
    let clock = ManualClock::new();
    let users = KeyedShadow::beside(table(3, &clock), table(2, &clock));
    let (alice, now) = (users.at("alice"), clock_now(&clock));
    let charge = alice.charge_at(2, now).expect("there are 3");
    assert_eq!(counts(users.stats()), [1, 0, 0, 0]);
    assert_eq!(users.candidates().available("alice"), 0);
    assert_eq!(alice.undo(charge), 2);
    assert_eq!(counts(users.stats()), [0, 0, 0, 0]);
    let left = (
        users.live().available("alice"),
        users.candidates().available("alice"),
    );
    assert_eq!(left, (3, 2));
    // A refusal of the view is counted, too.
    assert!(alice.charge_at(4, now).is_err());
    assert_eq!(counts(users.stats()), [0, 0, 0, 1]);
}

fn clock_now(clock: &ManualClock) -> tidegate::Timestamp {
    tidegate::Clock::now(clock)
}
