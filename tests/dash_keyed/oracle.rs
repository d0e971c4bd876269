//! Random calls, evictions and changes of the map, beside an exact bucket for every key.

use alloc::collections::BTreeMap;

use dashmap::DashMap;
use proptest::prelude::*;
use tidegate::{DashKeyed, Denied, ManualClock, Timestamp};

use crate::bucket;

const BURST: u64 = 3;
const TOKEN: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire {
        key: u8,
        n: u64,
        known_only: bool,
    },
    /// A call that read its clock this long ago.
    AcquireLate {
        key: u8,
        n: u64,
        ago: u64,
    },
    Advance(u64),
    EvictAll {
        protects: Option<u8>,
    },
    EvictSome(usize),
    Remove(u8),
    Insert(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..5_u8;
    let n = 0..=BURST + 1;
    let time = prop_oneof![0..=2 * TOKEN, Just(TOKEN), Just(BURST * TOKEN)];
    let step = prop_oneof![
        6 => (key.clone(), n.clone(), any::<bool>())
            .prop_map(|(key, n, known_only)| Step::Acquire { key, n, known_only }),
        2 => (key.clone(), n, time.clone())
            .prop_map(|(key, n, ago)| Step::AcquireLate { key, n, ago }),
        4 => time.prop_map(Step::Advance),
        1 => proptest::option::of(key.clone()).prop_map(|protects| Step::EvictAll { protects }),
        1 => (0..4_usize).prop_map(Step::EvictSome),
        1 => key.clone().prop_map(Step::Remove),
        1 => key.prop_map(Step::Insert),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A bucket in nanoseconds, of which a token is a whole number: when it is full.
type Tat = u64;

fn admit(tat: &mut Tat, n: u64, now: u64) -> Result<(), Denied> {
    if n > BURST {
        return Err(Denied::Never { capacity: BURST });
    }
    let next = (*tat).max(now) + n * TOKEN;
    let wait = next.saturating_sub(now + BURST * TOKEN);
    if wait > 0 {
        let retry_after = core::time::Duration::from_nanos(wait).into();
        return Err(Denied::NotYet { retry_after });
    }
    *tat = next;
    Ok(())
}

fn run(steps: &[Step]) {
    let (clock, map) = (ManualClock::new(), DashMap::new());
    let known = DashKeyed::with_clock(&map, |bucket| bucket, clock.clone());
    let made = DashKeyed::with_clock(&map, |bucket| bucket, clock.clone())
        .or_insert_with(|_: &u8| bucket(BURST, &clock));
    let mut model: BTreeMap<u8, Tat> = BTreeMap::new();
    // Only `made` evicts. Its calls are not decided as of an earlier instant.
    let (mut now, mut evicted_at) = (0, 0);
    for step in steps {
        match *step {
            Step::Acquire { n: 0, key, .. } | Step::AcquireLate { n: 0, key, .. } => {
                assert_eq!(made.try_acquire(&key, 0), Ok(()));
            }
            Step::Acquire { key, n, known_only } => {
                let expected = match model.get_mut(&key) {
                    Some(tat) => admit(tat, n, now),
                    None if known_only => Err(Denied::Never { capacity: 0 }),
                    None => {
                        let mut tat = 0;
                        let admitted = admit(&mut tat, n, now);
                        if admitted.is_ok() {
                            model.insert(key, tat);
                        }
                        admitted
                    }
                };
                let table_available = made.available(&key);
                let peeked = made.peek(&key, n);
                let decided = if known_only {
                    known.try_acquire(&key, n)
                } else {
                    made.try_acquire(&key, n)
                };
                assert_eq!(decided, expected);
                if !known_only {
                    assert_eq!(peeked, expected);
                    assert_eq!(peeked.is_ok(), n <= table_available);
                }
            }
            Step::AcquireLate { key, n, ago } => {
                let then = now.saturating_sub(ago);
                let as_of = then.max(evicted_at);
                let mut tat = model.get(&key).copied().unwrap_or(0);
                let expected = admit(&mut tat, n, as_of);
                if expected.is_ok() {
                    model.insert(key, tat);
                }
                let decided = made.try_acquire_at(&key, n, Timestamp::from_nanos(then));
                assert_eq!(decided, expected);
            }
            Step::Advance(nanos) => {
                now += nanos;
                clock.set(Timestamp::from_nanos(now));
            }
            Step::EvictAll { protects } => {
                evicted_at = now;
                let evicted = made.evict_unused(|key, _| Some(*key) != protects);
                let before = model.len();
                model.retain(|key, tat| *tat > now || Some(*key) == protects);
                assert_eq!(evicted, (before - model.len()) as u64);
            }
            Step::EvictSome(most) => {
                evicted_at = now;
                let evicted = made.evict_some(most, |_, _| true);
                assert!(evicted <= most as u64);
                // What is gone was unused.
                let gone = |key: &u8, tat: &mut Tat| {
                    let stays = map.contains_key(key);
                    assert!(stays || *tat <= now);
                    stays
                };
                model.retain(gone);
            }
            Step::Remove(key) => {
                let removed = made.remove(&key).is_some();
                assert_eq!(removed, model.remove(&key).is_some());
            }
            Step::Insert(key) => {
                map.insert(key, bucket(BURST, &clock));
                model.insert(key, 0);
            }
        }
        assert_eq!(map.len(), model.len());
    }
}

proptest! {
    #[test]
    fn agrees_with_an_exact_bucket_for_every_key(steps in steps()) {
        run(&steps);
    }
}
