//! Others who come between the look at several gates and the charge: what is lost then, and that it is counted.

use alloc::sync::Arc;
use core::hash::BuildHasher;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::hash::{DefaultHasher, RandomState};

use tidegate::tower::{Gate, Named, PerKey, RateLimitLayer, RequestHead};
use tidegate::{FixedKeyed, ManualClock, Quota, TokenBucket};

use crate::parallel::in_parallel;
use crate::{answer, bucket, drain, served, with_key};

type Bucket = Arc<TokenBucket<ManualClock>>;

/// A hasher that lets somebody else come when a table looks a key up to charge it, which is the second time.
#[derive(Clone)]
struct Interrupted {
    hashes: RandomState,
    looks: Arc<AtomicU64>,
    by: Arc<dyn Fn() + Send + Sync>,
}

impl BuildHasher for Interrupted {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        if self.looks.fetch_add(1, Relaxed) == 1 {
            (self.by)();
        }
        self.hashes.build_hasher()
    }
}

type Keys =
    PerKey<Arc<FixedKeyed<ManualClock, Interrupted>>, fn(&RequestHead<'_>) -> Option<String>>;

/// A gate of keys that have 10 tokens each, whose first charge somebody interrupts.
fn interrupted(clock: &ManualClock, by: impl Fn() + Send + Sync + 'static) -> Keys {
    let hasher = Interrupted {
        hashes: RandomState::new(),
        looks: Arc::default(),
        by: Arc::new(by),
    };
    let quota = Quota::per_second(1).burst(10);
    let limits = FixedKeyed::with_clock_and_hasher(quota, 100, clock.clone(), hasher);
    PerKey::new(Arc::new(limits), crate::key_of)
}

/// Permits that a layer forfeited for one refused request of the key `a`, which costs 3.
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

/// Somebody who takes all that is left.
fn thief(of: &Bucket) -> impl Fn() + Send + Sync + 'static {
    let of = Arc::clone(of);
    move || drain(&of)
}

#[test]
fn a_key_that_was_charged_forfeits_what_it_was_charged() {
    let clock = ManualClock::new();
    let last = full(&clock);
    let keys = interrupted(&clock, thief(&last));
    let table = Arc::clone(keys.table());
    assert_eq!(forfeited((keys, last)), 3);
    assert_eq!(table.available("a"), 7);
}

#[test]
fn a_limiter_that_was_charged_gets_it_back() {
    let clock = ManualClock::new();
    let (first, last) = (full(&clock), full(&clock));
    let keys = interrupted(&clock, thief(&last));
    let table = Arc::clone(keys.table());
    // Only the key's are lost.
    assert_eq!(forfeited((Arc::clone(&first), keys, last)), 3);
    assert_eq!((first.available(), table.available("a")), (10, 7));
}

#[test]
fn what_others_were_decided_upon_is_forfeited() {
    let clock = ManualClock::new();
    let (first, last) = (full(&clock), full(&clock));
    let (used, stolen) = (Arc::clone(&first), thief(&last));
    let keys = interrupted(&clock, move || {
        used.try_acquire(1).expect("7 are left");
        stolen();
    });
    // 3 of the key, and 3 of the bucket on top of whose charge somebody else came.
    assert_eq!(forfeited((Arc::clone(&first), keys, last)), 6);
    assert_eq!(first.available(), 6);
}

#[test]
fn gates_behind_the_one_that_refuses_are_not_charged() {
    let clock = ManualClock::new();
    let (stolen, behind) = (full(&clock), full(&clock));
    let keys = interrupted(&clock, thief(&stolen));
    assert_eq!(forfeited((keys, stolen, Arc::clone(&behind))), 3);
    assert_eq!(behind.available(), 10);
}

#[test]
fn charges_are_made_in_the_order_of_the_tuple() {
    let clock = ManualClock::new();
    let (first, last) = (full(&clock), full(&clock));
    let seen = Arc::new(std::sync::Mutex::new(None));
    let (looking, gates) = (Arc::clone(&seen), [Arc::clone(&first), Arc::clone(&last)]);
    let keys = interrupted(&clock, move || {
        let left = gates.each_ref().map(|gate| gate.available());
        *looking.lock().expect("no panic") = Some(left);
    });
    let layer = RateLimitLayer::builder((first, keys, last)).cost(|_| 3);
    assert_eq!(answer(&layer.build(), with_key("a")).status(), 200);
    // While the second is charged, the first is, and the third is not.
    assert_eq!(*seen.lock().expect("no panic"), Some([7, 10]));
}

#[test]
fn tuples_in_tuples_lose_no_count() {
    let clock = ManualClock::new();
    for depth in 0..4 {
        let (first, last) = (full(&clock), full(&clock));
        let (used, stolen) = (Arc::clone(&first), thief(&last));
        let keys = interrupted(&clock, move || {
            used.try_acquire(1).expect("7 are left");
            stolen();
        });
        let permits = match depth {
            // The refusal comes from within the inner tuple, which undoes nothing itself.
            0 => forfeited((Arc::clone(&first), (keys, last))),
            // From without, so the inner tuple is undone.
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
        assert_eq!(permits, 6, "{depth}");
        assert_eq!(first.available(), 6, "{depth}");
    }
}

#[test]
fn an_optional_key_that_is_not_there_forfeits_nothing() {
    let clock = ManualClock::new();
    let (first, last) = (full(&clock), full(&clock));
    let keys = interrupted(&clock, thief(&last));
    let of_nobody: fn(&RequestHead<'_>) -> Option<String> = |_| None;
    let other = FixedKeyed::with_clock(Quota::per_second(1).burst(10), 100, clock.clone());
    let nobody = PerKey::new(other, of_nobody).optional();
    assert_eq!(forfeited((nobody, Arc::clone(&first), keys, last)), 3);
    assert_eq!(first.available(), 10);
}

#[test]
fn a_dry_run_counts_what_it_forfeits() {
    let clock = ManualClock::new();
    let last = full(&clock);
    let keys = interrupted(&clock, thief(&last));
    let layer = RateLimitLayer::builder((keys, last)).dry_run(true).build();
    assert_eq!(answer(&layer, with_key("a")).status(), 200);
    let stats = layer.stats();
    assert_eq!((stats.shadow_denied, stats.forfeited), (1, 1));
}

#[test]
fn threads_never_pass_more_than_any_gate_allows() {
    let mut total_forfeited = 0;
    for round in 0..200_u64 {
        let clock = ManualClock::new();
        // The smallest gate is at each place in turn.
        let capacities = [0, 1, 2].map(|place| if place == round % 3 { 40 } else { 45 + place });
        let gates = capacities.map(|capacity| Arc::new(bucket(capacity, &clock)));
        let [a, b, c] = gates.clone();
        let layer = RateLimitLayer::new((a, Named::new("b", b), c));
        let passed = in_parallel(4, |_| served(&layer, 20));
        let passed = passed.iter().sum::<usize>() as u64;
        let stats = layer.stats();
        assert_eq!((stats.allowed, stats.denied), (passed, 80 - passed));
        assert!(passed <= 40, "{passed}");
        // What the gates have lost was admitted or is counted, to the permit.
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
    // How much is chance; usually it is a little.
    assert!(total_forfeited < 200 * 80, "{total_forfeited}");
}

#[test]
fn threads_with_keys_never_pass_more_than_any_gate_allows() {
    for _ in 0..100 {
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
