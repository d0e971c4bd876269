//! Which keys a `Keyed` keeps: keys in use, keys that were used a while ago, and none for longer.

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use proptest::prelude::*;
use tidegate::{
    Combined, Keyed, KeyedBuilder, Limiter, ManualClock, Overflow, Quota, SlidingWindow,
    TokenBucket,
};

use crate::{OneSpot, at, bucket};

const SECOND: u64 = 1_000_000_000;
const TEN_SECONDS: u64 = 10 * SECOND;

type Buckets = KeyedBuilder<u64, TokenBucket<ManualClock>>;

fn buckets(quota: Quota) -> Buckets {
    Keyed::builder(move |_: &u64| bucket(quota))
}

/// Clients that stay far below their limit: a bucket is full again when its key comes back.
#[test]
fn keys_that_are_full_at_each_visit_stay() {
    const KEYS: u64 = 1_000;
    let quota = Quota::per_second(1_000_000).burst(1 << 32);
    // Many parts, and one part.
    let spread = buckets(quota).build();
    let crowded = buckets(quota).hasher(OneSpot).build();
    let mut now = 0;
    for round in 0..50 {
        for key in 0..KEYS {
            // In another order in each round.
            let key = (key * 7 % KEYS) ^ (round & 1);
            now += 10_000;
            assert_eq!(spread.try_acquire_at(&key, 1, at(now)), Ok(()));
            assert_eq!(crowded.try_acquire_at(&key, 1, at(now)), Ok(()));
        }
        for stats in [spread.stats(), crowded.stats()] {
            assert_eq!((stats.created, stats.evicted), (KEYS, 0), "round {round}");
        }
    }
    // Also beside a flood of keys that are used once, and whose buckets are full at once.
    for flood in 0..100_000 {
        now += 10_000;
        let new = KEYS + flood;
        assert_eq!(spread.try_acquire_at(&new, 1, at(now)), Ok(()));
        assert_eq!(
            spread.try_acquire_at(&(flood % KEYS), 1, at(now)),
            Ok(()),
            "{flood}"
        );
    }
    assert_eq!(spread.stats().created, KEYS + 100_000);
    // The flood lasted for a second. Ten seconds later its keys go, as others come.
    now += TEN_SECONDS;
    for new in 0..10_000 {
        for key in 0..KEYS / 10 {
            spread
                .try_acquire_at(&key, 1, at(now + new))
                .expect("known");
        }
        let new = KEYS + 100_000 + new;
        spread.try_acquire_at(&new, 1, at(now)).expect("new");
    }
    let left = spread.len() as u64;
    assert!(left < 10_000 + KEYS + 1_000, "{left} keys");
    for key in 0..KEYS / 10 {
        assert!(spread.contains(&key), "{key}");
    }
}

/// The timeout counts from the instant at which the bucket is full, to the nanosecond.
#[test]
fn bucket_stays_for_timeout_after_it_is_full() {
    let timeouts = [0, 1, SECOND, TEN_SECONDS, 3_600 * SECOND];
    for (number, timeout) in timeouts.into_iter().enumerate() {
        let keyed = buckets(Quota::per_second(1).burst(10))
            .max_keys(60)
            .idle_timeout(Duration::from_nanos(timeout))
            .build();
        let start = TEN_SECONDS;
        keyed.try_acquire_at(&0, 3, at(start)).expect("new");
        // 2 tokens are missing then.
        keyed
            .try_acquire_at(&0, 1, at(start + 2 * SECOND))
            .expect("7 + 2");
        let full = start + 4 * SECOND;
        keyed
            .try_acquire_at(&1, 1, at(full + timeout - 1))
            .expect("new");
        assert!(keyed.contains(&0), "{number}");
        keyed
            .try_acquire_at(&2, 1, at(full + timeout))
            .expect("new");
        assert!(!keyed.contains(&0), "{number}");
    }
}

#[test]
fn default_timeout_is_ten_seconds_and_longest_is_forever() {
    let default = buckets(Quota::per_second(1_000)).max_keys(60).build();
    let forever = buckets(Quota::per_second(1_000))
        .max_keys(60)
        .idle_timeout(Duration::MAX)
        .build();
    let full = SECOND / 1_000;
    for keyed in [&default, &forever] {
        keyed.try_acquire_at(&0, 1, at(0)).expect("new");
        keyed
            .try_acquire_at(&1, 1, at(full + TEN_SECONDS - 1))
            .expect("new");
        assert!(keyed.contains(&0));
        keyed
            .try_acquire_at(&2, 1, at(full + TEN_SECONDS))
            .expect("new");
    }
    assert!(!default.contains(&0) && forever.contains(&0));
    forever.try_acquire_at(&3, 1, at(u64::MAX)).expect("new");
    assert!(forever.contains(&0));
    assert_eq!(forever.evict_unused_at(at(u64::MAX)), 3, "not the last");
}

/// Where there are `max_keys`, the key that is unused the longest makes room, however short that
/// is, and a key in use never does.
#[test]
fn longest_unused_key_makes_room() {
    let keyed = buckets(Quota::per_second(1).burst(10))
        .max_keys(8)
        .overflow(Overflow::Refuse)
        .build();
    // Full at 3, 1, 4, 2, 7, 6, 5 and 10 seconds.
    for (key, n) in (0..).zip([3, 1, 4, 2, 7, 6, 5, 10]) {
        keyed.try_acquire_at(&key, n, at(0)).expect("room");
    }
    // The last one is charged again whenever time passes, and is never full.
    for (number, evicted) in (0..).zip([1, 3, 0, 2, 6, 5, 4]) {
        let now = at(7 * SECOND + number);
        assert!(keyed.contains(&evicted));
        keyed
            .try_acquire_at(&(100 + number), 10, now)
            .expect("room");
        assert!(!keyed.contains(&evicted), "{evicted}");
        let stats = keyed.stats();
        assert_eq!(stats.evicted, number + 1);
        assert_eq!(stats.evicted_for_room, number + 1);
    }
    assert!(keyed.contains(&7));
    let now = at(8 * SECOND);
    assert!(keyed.try_acquire_at(&200, 1, now).is_err(), "no room");
    // Keys that have left at leisure are not counted as such.
    assert_eq!(keyed.evict_unused_at(at(60 * SECOND)), 8);
    let stats = keyed.stats();
    assert_eq!((stats.evicted, stats.evicted_for_room), (15, 7));
}

/// A call for a key in use needs no exclusive lock, whether its bucket is full or not.
///
/// Another call stays in the comparison of its key meanwhile, with the shared lock of the part.
#[test]
fn key_in_use_takes_no_exclusive_lock() {
    thread_local! {
        static STAY: core::cell::RefCell<Option<Receiver<()>>> =
            const { core::cell::RefCell::new(None) };
    }
    #[derive(Clone, Debug)]
    struct Key(u64);
    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    impl Eq for Key {}
    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            if let Some(until) = STAY.take() {
                let late = Duration::from_secs(60);
                until.recv_timeout(late).expect("the other calls return");
            }
            self.0 == other.0
        }
    }

    let keyed = Keyed::builder(|_: &Key| bucket(Quota::per_second(1_000).burst(10)))
        .max_keys(60)
        .build();
    for key in 0..10 {
        keyed.try_acquire_at(&Key(key), 10, at(0)).expect("new");
    }
    let (done, until) = channel();
    let until = Mutex::new(Some(until));
    thread::scope(|scope| {
        let (entered, is_in) = channel();
        let keyed = &keyed;
        let until = &until;
        scope.spawn(move || {
            STAY.set(until.lock().expect("no panic").take());
            entered.send(()).expect("received");
            keyed.try_acquire_at(&Key(0), 1, at(SECOND)).expect("full");
        });
        is_in.recv().expect("sent");
        for call in 0..1_000 {
            // Each ninth call finds a full bucket, and the following calls do not.
            let now = at(SECOND + call / 81 * SECOND / 10);
            keyed
                .try_acquire_at(&Key(1 + call % 9), 1, now)
                .expect("in use");
        }
        done.send(()).expect("the other call waits");
    });
    assert_eq!(keyed.stats().created, 10);
}

/// What a script does: the time that passes before, the key, and the permits.
fn any_visits() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    let passes = prop_oneof![
        4 => 0..SECOND,
        2 => 0..TEN_SECONDS,
        1 => 0..10 * TEN_SECONDS,
    ];
    prop::collection::vec((passes, 0..60_u64, 1..=10_u64), 1..150)
}

/// Makes visits, and checks after each that all keys are there that must be: those that were
/// admitted less than `timeout` ago, and those of which `in_use` says so.
fn keys_stay<L: Limiter + 'static>(
    limiter: impl Fn(&u64) -> L + Send + Sync + 'static,
    timeout: u64,
    visits: &[(u64, u64, u64)],
) -> Result<(), TestCaseError> {
    let alone: Vec<L> = (0..60).map(|key| limiter(&key)).collect();
    let keyed = Keyed::builder(limiter)
        .idle_timeout(Duration::from_nanos(timeout))
        .hasher(OneSpot)
        .build();
    let mut last = [None; 60];
    let mut now = TEN_SECONDS;
    for &(passes, key, n) in visits {
        now += passes;
        let index = usize::try_from(key).expect("few");
        let decided = keyed.try_acquire_at(&key, n, at(now));
        prop_assert_eq!(decided, alone[index].try_acquire_at(n, at(now)));
        if decided.is_ok() {
            last[index] = Some(now);
        }
        for (key, limiter) in (0..).zip(&alone) {
            let Some(last) = last[usize::try_from(key).expect("few")] else {
                continue;
            };
            if now - last < timeout || !limiter.is_unused_at(at(now)) {
                prop_assert!(keyed.contains(&key), "{} of {:?} at {}", key, last, now);
            }
        }
        prop_assert_eq!(keyed.stats().evicted_for_room, 0);
    }
    // No key stays for good. The new ones are not unused in between.
    let end = now + 10 * TEN_SECONDS + timeout;
    for new in 1_000..1_400 {
        keyed.try_acquire_at(&new, 10, at(end)).expect("new");
    }
    prop_assert_eq!(keyed.len(), 400);
    Ok(())
}

fn any_timeout() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(TEN_SECONDS), 0..10 * TEN_SECONDS]
}

fn window() -> SlidingWindow<ManualClock> {
    let three = Duration::from_secs(3);
    SlidingWindow::with_clock(10, three, ManualClock::new()).expect("fits")
}

proptest! {
    #[test]
    fn buckets_stay(timeout in any_timeout(), visits in any_visits()) {
        keys_stay(|_| bucket(Quota::per_second(1).burst(10)), timeout, &visits)?;
    }

    #[test]
    fn buckets_with_several_quotas_stay(timeout in any_timeout(), visits in any_visits()) {
        // A token takes a whole number of nanoseconds, so words are exact.
        let rates = [1, 2, 4, 5, 10];
        let limiter = move |key: &u64| {
            bucket(Quota::per_second(rates[usize::try_from(key % 5).expect("few")]).burst(10))
        };
        keys_stay(limiter, timeout, &visits)?;
    }

    #[test]
    fn windows_stay(timeout in any_timeout(), visits in any_visits()) {
        keys_stay(|_| window(), timeout, &visits)?;
    }

    #[test]
    fn combinations_stay(timeout in any_timeout(), visits in any_visits()) {
        let combined = |_: &u64| {
            Combined::builder()
                .limit("window", window())
                .limit("bucket", bucket(Quota::per_second(2).burst(20)))
                .build()
        };
        keys_stay(combined, timeout, &visits)?;
    }
}
