//! Every way in which a table refuses a key is tracked once, and nothing else is.

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{
    Acquire, FixedKeyed, KeyView, Keyed, KeyedLimiter, ManualClock, Quota, TokenBucket, TrackDenied,
};

fn denials<T>(clients: &TrackDenied<T, String>) -> Vec<(String, u64)> {
    let top = clients.most_denied().top(usize::MAX);
    let mut keys: Vec<_> = top
        .keys
        .into_iter()
        .map(|it| (it.key, it.at_least))
        .collect();
    keys.sort();
    keys
}

/// Refuses `mallory` three times.
fn refuse<T: KeyedLimiter<str>>(clients: &TrackDenied<T, String>) {
    for _ in 0..2 {
        _ = clients.try_acquire("alice", 1);
    }
    assert!(clients.try_acquire("mallory", 2).is_ok());
    for n in [1, 2, 3] {
        assert!(clients.try_acquire("mallory", n).is_err(), "{n}");
    }
    // Free calls are not refused.
    assert!(clients.try_acquire("mallory", 0).is_ok());
    assert_eq!(denials(clients), [(String::from("mallory"), 3)]);
}

fn fixed() -> FixedKeyed<ManualClock> {
    FixedKeyed::with_clock(Quota::per_minute(2), 100, ManualClock::new())
}

fn keyed() -> Keyed<String, TokenBucket<ManualClock>> {
    let clock = ManualClock::new();
    Keyed::new(move |_: &String| TokenBucket::with_clock(Quota::per_minute(2), clock.clone()))
}

#[test]
fn refusals_of_any_table_are_tracked() {
    refuse(&TrackDenied::new(fixed(), 10));
    refuse(&TrackDenied::new(keyed(), 10));
    refuse(&TrackDenied::new(Arc::new(fixed()), 10));
    let table = keyed();
    refuse(&TrackDenied::new(&table, 10));
}

#[test]
fn waits_are_tracked_if_they_end_in_a_refusal() {
    let clients = TrackDenied::<_, String>::new(fixed(), 10);
    assert_eq!(clients.acquire("mallory", 2).wait(), Ok(()));
    assert!(clients.acquire("mallory", 3).wait().is_err()); // above the capacity
    let second = Duration::from_secs(1);
    assert!(
        clients
            .acquire("mallory", 1)
            .timeout(second)
            .wait()
            .is_err()
    );
    assert_eq!(denials(&clients), [(String::from("mallory"), 2)]);

    // A view that owns its key.
    let clients = Arc::new(clients);
    let view = KeyView::owned(Arc::clone(&clients), String::from("mallory"));
    assert!(Acquire::new(view, 1).timeout(second).wait().is_err());
    assert_eq!(denials(&clients), [(String::from("mallory"), 3)]);
    // A wait that is dropped is not a refusal.
    drop(clients.acquire("mallory", 1));
    assert_eq!(denials(&clients), [(String::from("mallory"), 3)]);
}

#[test]
fn lists_can_be_shared() {
    let one = TrackDenied::<_, String>::new(fixed(), 10);
    let other = TrackDenied::with(keyed(), Arc::clone(one.most_denied()));
    assert!(one.try_acquire("mallory", 3).is_err());
    assert!(other.try_acquire("mallory", 3).is_err());
    assert_eq!(denials(&one), [(String::from("mallory"), 2)]);
    assert!(format!("{one:?}").contains("MostDenied") && !format!("{one:?}").contains("mallory"));
}
