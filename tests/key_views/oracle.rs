//! Random operations on a few keys against buckets in exact arithmetic.

use alloc::collections::BTreeMap;

use proptest::prelude::*;
use tidegate::{Denied, FixedKeyed, Keyed, Limiter, ManualClock, Overflow, Quota};

use crate::{Table, at, bucket};

/// Nanoseconds per token: no rate is rounded.
const TOKEN: u128 = 1_000;
const CAPACITY: u64 = 6;

const fn quota() -> Quota {
    Quota::per_second(1_000_000).burst(CAPACITY)
}

/// The bucket of a key: the instant at which it is full, and how often the key was removed.
#[derive(Clone, Copy, Debug, Default)]
struct Exact {
    tat: u128,
    removals: u64,
}

impl Exact {
    const fn ahead(self, now: u128) -> u128 {
        self.tat.saturating_sub(now)
    }

    fn after(self, n: u64, now: u128) -> u128 {
        self.tat.max(now) + u128::from(n) * TOKEN
    }

    fn admits(self, n: u64, now: u128) -> bool {
        n == 0 || self.after(n, now) <= now + u128::from(CAPACITY) * TOKEN
    }

    fn available(self, now: u128) -> u64 {
        let room = (u128::from(CAPACITY) * TOKEN).saturating_sub(self.ahead(now));
        u64::try_from(room / TOKEN).expect("at most the capacity")
    }

    fn debt(self, now: u128) -> u64 {
        let debt = self.ahead(now).saturating_sub(u128::from(CAPACITY) * TOKEN);
        u64::try_from(debt.div_ceil(TOKEN)).expect("small")
    }
}

/// A charge that may be undone later.
struct Held<C> {
    key: u64,
    n: u64,
    charge: C,
    before: u128,
    after: u128,
    removals: u64,
    /// Removals of any key.
    all_removals: u64,
}

/// An operation: which, the key, a number of tokens, and the time that passes before.
type Step = (u8, u64, u64, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let time = prop_oneof![
        4 => Just(0_u64),
        3 => 0..1_500_u64,
        2 => (0..4_u64).prop_map(|tokens| tokens * 1_000),
        1 => 0..9_000_u64,
    ];
    prop::collection::vec((0..12_u8, 0..24_u64, 0..8_u64, time), 1..120)
}

/// Plays the steps on a table and on exact buckets. `keys` bounds the keys that are used.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each operation of a view"
)]
fn check<T: Table>(table: &T, keys: u64, steps: &[Step]) {
    let mut exact: BTreeMap<u64, Exact> = BTreeMap::new();
    let mut held: Vec<Held<T::Charge>> = Vec::new();
    let (mut nanos, mut all_removals) = (10_000, 0);
    for &(step, key, n, passed) in steps {
        let key = key % keys;
        nanos += passed;
        let (now, time) = (at(nanos), u128::from(nanos));
        let bucket = exact.entry(key).or_default();
        let view = table.view(&key);
        let overflowed = table.overflowed();
        match step {
            0..=3 => match view.charge_at(n, now) {
                Ok(charge) => {
                    assert!(bucket.admits(n, time), "{n} of {bucket:?} at {time}");
                    if n > 0 {
                        let (before, after) = (bucket.tat, bucket.after(n, time));
                        bucket.tat = after;
                        let removals = bucket.removals;
                        held.push(Held {
                            key,
                            n,
                            charge,
                            before,
                            after,
                            removals,
                            all_removals,
                        });
                    }
                }
                Err(Denied::Busy { .. }) => assert!(table.overflowed() > overflowed),
                Err(_) => assert!(!bucket.admits(n, time), "{n} of {bucket:?} at {time}"),
            },
            4 => match view.try_acquire_at(n, now) {
                Ok(()) if n == 0 => {}
                Ok(()) => {
                    assert!(bucket.admits(n, time), "{n} of {bucket:?} at {time}");
                    bucket.tat = bucket.after(n, time);
                }
                Err(Denied::Busy { .. }) => {}
                Err(_) => assert!(!bucket.admits(n, time), "{n} of {bucket:?} at {time}"),
            },
            5 | 6 if !held.is_empty() => {
                // The last one most of the time.
                let last = held.len() - 1;
                let index = if step == 5 {
                    last
                } else {
                    last.saturating_sub(1)
                };
                let Held {
                    key,
                    n,
                    charge,
                    before,
                    after,
                    removals,
                    all_removals: then,
                } = held.remove(index);
                let bucket = exact.entry(key).or_default();
                let is_unchanged = bucket.tat == after && bucket.removals == removals;
                let returned = table.view(&key).undo(charge);
                if returned == 0 {
                    // Its key was evicted, or others were removed meanwhile.
                    let may_fail = bucket.ahead(time) == 0 || all_removals > then;
                    assert!(!is_unchanged || may_fail, "{n} of {bucket:?} at {time}");
                } else {
                    assert_eq!(returned, n);
                    // A bucket that is full by now may keep the word that the charge has left.
                    let is_full = bucket.ahead(time) == 0;
                    assert!(is_unchanged || is_full, "{n} of {bucket:?} at {time}");
                    if is_unchanged {
                        bucket.tat = before;
                    }
                }
            }
            7 => {
                table.debit_at(key, n, now);
                if n > 0 && table.overflowed() == overflowed {
                    bucket.tat = bucket.after(n, time);
                }
            }
            8 => {
                table.credit_at(key, n, now);
                if bucket.tat > time {
                    bucket.tat = bucket.tat.saturating_sub(u128::from(n) * TOKEN).max(time);
                }
            }
            9 => {
                table.reset_at(key, now);
                bucket.tat = bucket.tat.min(time);
            }
            10 if n == 0 => {
                if table.remove(key) {
                    bucket.tat = 0;
                    bucket.removals += 1;
                    all_removals += 1;
                }
            }
            _ => table.evict_at(now),
        }
        let (bucket, view) = (exact[&key], table.view(&key));
        if !matches!(view.peek_at(1, now), Err(Denied::Busy { .. })) {
            assert_eq!(
                view.available_at(now),
                bucket.available(time),
                "{bucket:?} at {time}"
            );
            assert_eq!(
                table.debt_at(key, now),
                bucket.debt(time),
                "{bucket:?} at {time}"
            );
            assert_eq!(view.is_unused_at(now), bucket.ahead(time) == 0);
            for n in [1, 3, CAPACITY] {
                assert_eq!(view.peek_at(n, now).is_ok(), bucket.admits(n, time));
            }
        }
    }
}

fn buckets(max_keys: usize) -> crate::Buckets {
    let clock = ManualClock::new();
    Keyed::builder(move |_: &u64| bucket(quota(), &clock))
        .max_keys(max_keys)
        .overflow(Overflow::Refuse)
        .build()
}

fn fixed(capacity: usize) -> FixedKeyed<ManualClock> {
    FixedKeyed::with_clock(quota(), capacity, ManualClock::new()).overflow(Overflow::Refuse)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    /// With room for all keys.
    #[test]
    fn views_agree_with_exact_buckets(steps in steps()) {
        check(&buckets(1_000), 3, &steps);
        check(&fixed(1_000), 3, &steps);
    }

    /// With more keys than places, so that keys come and go.
    #[test]
    fn views_of_full_tables_agree_with_exact_buckets(steps in steps()) {
        check(&buckets(4), 8, &steps);
        check(&fixed(1), 24, &steps);
    }
}
