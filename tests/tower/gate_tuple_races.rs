//! Calls between the look at a tuple's gates and the charge: charges are undone, those of keys too,
//! and forfeited permits are counted.

use alloc::sync::Arc;
use core::hash::BuildHasher;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::hash::{DefaultHasher, RandomState};

use tidegate::layer::{Gate, Named, PerKey, RateLimitLayer, RequestHead};
use tidegate::{FixedKeyed, ManualClock, Quota, TokenBucket};

use crate::parallel::in_parallel;
use crate::{answer, bucket, drain, served, with_key};

type Bucket = Arc<TokenBucket<ManualClock>>;

/// A hasher that runs another call when a table hashes a key for the charge: once after each tuple
/// around it has looked.
#[derive(Clone)]
struct Interrupted {
    hashes: RandomState,
    /// The hashes before that.
    looks: u64,
    hashed: Arc<AtomicU64>,
    by: Arc<dyn Fn() + Send + Sync>,
}

impl BuildHasher for Interrupted {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        if self.hashed.fetch_add(1, Relaxed) == self.looks {
            (self.by)();
        }
        self.hashes.build_hasher()
    }
}

type Keys =
    PerKey<Arc<FixedKeyed<ManualClock, Interrupted>>, fn(&RequestHead<'_>) -> Option<String>>;

/// Creates a gate of keys with 10 tokens each, in one tuple. The first charge is interrupted by a
/// call of `by`.
fn interrupting_keys(clock: &ManualClock, by: impl Fn() + Send + Sync + 'static) -> Keys {
    nested_keys(1, clock, by)
}

/// As [`interrupting_keys`], in so many tuples.
fn nested_keys(looks: u64, clock: &ManualClock, by: impl Fn() + Send + Sync + 'static) -> Keys {
    let hasher = Interrupted {
        hashes: RandomState::new(),
        looks,
        hashed: Arc::default(),
        by: Arc::new(by),
    };
    let quota = Quota::per_second(1).burst(10);
    let limits = FixedKeyed::with_clock_and_hasher(quota, 100, clock.clone(), hasher);
    PerKey::new(Arc::new(limits), crate::key_of)
}

/// Returns the permits that a layer forfeits for one refused request of key `a` and cost 3.
fn forfeited<G: Gate>(gate: G) -> u64 {
    let layer = RateLimitLayer::builder(gate).cost(|_| 3).build();
    assert_eq!(answer(&layer, with_key("a")).status(), 429);
    let stats = layer.stats();
    assert_eq!((stats.allowed, stats.denied), (0, 1));
    stats.forfeited
}

fn full(clock: &ManualClock) -> Bucket {
    Arc::new(bucket(10, clock))
}

/// Returns a function that takes all tokens of the bucket.
fn drainer(of: &Bucket) -> impl Fn() + Send + Sync + 'static {
    let of = Arc::clone(of);
    move || drain(&of)
}

#[test]
fn charged_key_undoes_its_charge() {
    let clock = ManualClock::new();
    let last = full(&clock);
    let keys = interrupting_keys(&clock, drainer(&last));
    let table = Arc::clone(keys.table());
    assert_eq!(forfeited((keys, last)), 0);
    assert_eq!(table.available("a"), 10);
}

#[test]
fn charged_limiter_undoes_its_charge() {
    let clock = ManualClock::new();
    let (first, last) = (full(&clock), full(&clock));
    let keys = interrupting_keys(&clock, drainer(&last));
    let table = Arc::clone(keys.table());
    assert_eq!(forfeited((Arc::clone(&first), keys, last)), 0);
    assert_eq!((first.available(), table.available("a")), (10, 10));
}

#[test]
fn charge_under_a_later_call_is_forfeited() {
    let clock = ManualClock::new();
    let (first, last) = (full(&clock), full(&clock));
    let (used, stolen) = (Arc::clone(&first), drainer(&last));
    let keys = interrupting_keys(&clock, move || {
        used.try_acquire(1).expect("7 are left");
        stolen();
    });
    let table = Arc::clone(keys.table());
    // 3 of the bucket, because another call was decided on top of its charge.
    assert_eq!(forfeited((Arc::clone(&first), keys, last)), 3);
    assert_eq!((first.available(), table.available("a")), (6, 10));
}

#[test]
fn gates_after_the_refusing_one_are_not_charged() {
    let clock = ManualClock::new();
    let (stolen, behind) = (full(&clock), full(&clock));
    let keys = interrupting_keys(&clock, drainer(&stolen));
    assert_eq!(forfeited((keys, stolen, Arc::clone(&behind))), 0);
    assert_eq!(behind.available(), 10);
}

#[test]
fn charges_are_made_in_the_order_of_the_tuple() {
    let clock = ManualClock::new();
    let (first, last) = (full(&clock), full(&clock));
    let seen = Arc::new(std::sync::Mutex::new(None));
    let (writing, gates) = (Arc::clone(&seen), [Arc::clone(&first), Arc::clone(&last)]);
    let keys = interrupting_keys(&clock, move || {
        let left = gates.each_ref().map(|gate| gate.available());
        *writing.lock().expect("no panic") = Some(left);
    });
    let layer = RateLimitLayer::builder((first, keys, last)).cost(|_| 3);
    assert_eq!(answer(&layer.build(), with_key("a")).status(), 200);
    // When the second gate is charged, the first already is, and the third is not.
    assert_eq!(*seen.lock().expect("no panic"), Some([7, 10]));
}

#[test]
fn nested_tuples_count_all_forfeited_permits() {
    let clock = ManualClock::new();
    for depth in 0..4 {
        let (first, last) = (full(&clock), full(&clock));
        let (used, stolen) = (Arc::clone(&first), drainer(&last));
        let looks = if depth == 3 { 3 } else { 2 };
        let keys = nested_keys(looks, &clock, move || {
            used.try_acquire(1).expect("7 are left");
            stolen();
        });
        let table = Arc::clone(keys.table());
        let permits = match depth {
            // The inner tuple refuses, and undoes the charge of the key.
            0 => forfeited((Arc::clone(&first), (keys, last))),
            // The outer tuple refuses, so the inner one is undone.
            1 => forfeited(((Arc::clone(&first), keys), last)),
            2 => forfeited(Named::new(
                "all",
                (Named::new("in", (Arc::clone(&first), keys)), last),
            )),
            _ => forfeited((
                full(&clock),
                (Arc::clone(&first), (keys, Named::new("last", last))),
            )),
        };
        assert_eq!(permits, 3, "{depth}");
        assert_eq!(
            (first.available(), table.available("a")),
            (6, 10),
            "{depth}"
        );
    }
}

#[test]
fn absent_optional_key_forfeits_nothing() {
    let clock = ManualClock::new();
    let (first, last) = (full(&clock), full(&clock));
    let keys = interrupting_keys(&clock, drainer(&last));
    let no_key: fn(&RequestHead<'_>) -> Option<String> = |_| None;
    let other = FixedKeyed::with_clock(Quota::per_second(1).burst(10), 100, clock.clone());
    let absent = PerKey::new(other, no_key).optional();
    assert_eq!(forfeited((absent, Arc::clone(&first), keys, last)), 0);
    assert_eq!(first.available(), 10);
}

#[test]
fn dry_run_counts_forfeited_permits() {
    let clock = ManualClock::new();
    let (first, last) = (full(&clock), full(&clock));
    let (used, stolen) = (Arc::clone(&first), drainer(&last));
    let keys = interrupting_keys(&clock, move || {
        used.try_acquire(1).expect("9 are left");
        stolen();
    });
    let gate = (first, keys, last);
    let layer = RateLimitLayer::builder(gate).dry_run(true).build();
    assert_eq!(answer(&layer, with_key("a")).status(), 200);
    let stats = layer.stats();
    assert_eq!((stats.shadow_denied, stats.forfeited), (1, 1));
}

#[test]
fn threads_never_exceed_any_gate() {
    let mut total_forfeited = 0;
    for round in 0..100_u64 {
        let clock = ManualClock::new();
        // The smallest gate is at each index in turn.
        let capacities = [0, 1, 2].map(|index| if index == round % 3 { 40 } else { 45 + index });
        let gates = capacities.map(|capacity| Arc::new(bucket(capacity, &clock)));
        let [a, b, c] = gates.clone();
        let layer = RateLimitLayer::new((a, Named::new("b", b), c));
        let passed = in_parallel(4, |_| served(&layer, 20));
        let passed = passed.iter().sum::<usize>() as u64;
        let stats = layer.stats();
        assert_eq!((stats.allowed, stats.denied), (passed, 80 - passed));
        assert!(passed <= 40, "{passed}");
        // Each permit that the gates lost was admitted or is counted as forfeited.
        let left = gates.each_ref().map(|gate| gate.available());
        let lost = capacities.iter().sum::<u64>() - left.iter().sum::<u64>();
        assert_eq!(
            lost,
            3 * passed + stats.forfeited,
            "{capacities:?} {left:?}"
        );
        total_forfeited += stats.forfeited;
        if stats.forfeited == 0 {
            assert_eq!(passed, 40);
        }
    }
    // The number depends on the interleaving, and is usually small.
    assert!(total_forfeited < 100 * 240, "{total_forfeited}");
}

#[test]
fn threads_with_keys_never_exceed_any_gate() {
    for _ in 0..50 {
        let clock = ManualClock::new();
        let all = Arc::new(bucket(50, &clock));
        let quota = Quota::per_second(1).burst(20);
        let limits = Arc::new(FixedKeyed::with_clock(quota, 1_000, clock.clone()));
        let gate = (
            PerKey::new(Arc::clone(&limits), crate::key_of),
            Arc::clone(&all),
        );
        let layer = RateLimitLayer::new(gate);
        let keys = ["a", "b", "c", "d"];
        let passed = in_parallel(4, |thread| {
            let ask = |index: &usize| {
                let key = with_key(keys[(index + thread) % 4]);
                answer(&layer, key).status() == 200
            };
            (0..40).filter(ask).count()
        });
        let passed = passed.iter().sum::<usize>() as u64;
        let lost_keys: u64 = keys.iter().map(|key| 20 - limits.available(*key)).sum();
        let lost = lost_keys + 50 - all.available();
        let stats = layer.stats();
        assert!(passed <= 50 && stats.allowed == passed, "{passed}");
        assert_eq!(lost, 2 * passed + stats.forfeited);
    }
}
