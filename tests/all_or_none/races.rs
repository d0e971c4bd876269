//! Many real threads at tuples that share members: exact totals, and forfeited permits.

use alloc::sync::Arc;

use tidegate::{AllOrNothing, FixedKeyed, Keyed, ManualClock, Quota, TokenBucket, TupleDenied};

use crate::bucket;
use crate::parallel::in_parallel;

/// Admitted calls, and permits that refused calls lost.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    admitted: u64,
    forfeited: u64,
}

impl Count {
    const fn add(&mut self, outcome: Result<(), TupleDenied>) {
        match outcome {
            Ok(()) => self.admitted += 1,
            Err(denied) => self.forfeited += denied.forfeited(),
        }
    }

    fn sum(counts: &[Self]) -> Self {
        counts.iter().fold(Self::default(), |sum, count| Self {
            admitted: sum.admitted + count.admitted,
            forfeited: sum.forfeited + count.forfeited,
        })
    }
}

/// All members run out, so that threads race for every last permit. Each permit that is gone was
/// admitted or is reported as forfeited.
#[test]
fn missing_permits_were_admitted_or_forfeited() {
    for round in 0..100_u64 {
        let clock = ManualClock::new();
        // The smallest is at each index in turn.
        let capacities = [0, 1, 2].map(|index| if index == round % 3 { 40 } else { 45 + index });
        let members = capacities.map(|capacity| bucket(capacity, &clock));
        let [a, b, c] = &members;
        let counts = in_parallel(4, |thread| {
            let mut count = Count::default();
            for _ in 0..20 {
                // In different orders.
                count.add(match thread % 3 {
                    0 => (a, b, c).try_acquire(1),
                    1 => (c, a, b).try_acquire(1),
                    _ => (b, c, a).try_acquire(1),
                });
            }
            count
        });
        let Count {
            admitted,
            forfeited,
        } = Count::sum(&counts);
        let left: u64 = members.iter().map(TokenBucket::available).sum();
        let gone = capacities.iter().sum::<u64>() - left;
        assert_eq!(gone, 3 * admitted + forfeited, "{capacities:?}");
        assert!(admitted <= 40, "{admitted}");
        if forfeited == 0 {
            assert_eq!(admitted, 40);
        }
    }
}

/// Keys of both tables are charged, undone, evicted and made again by calls that race.
#[test]
fn keys_keep_exact_totals() {
    for round in 0..60_u64 {
        let clock = ManualClock::new();
        let time = clock.clone();
        let orgs = Keyed::new(move |_: &String| {
            TokenBucket::with_clock(Quota::per_second(1).burst(30), time.clone())
        });
        let users = FixedKeyed::with_clock(Quota::per_second(1).burst(25), 1_000, clock.clone());
        let global = Arc::new(bucket(50 + round % 20, &clock));
        let names = ["a", "b", "c", "d"];
        let counts = in_parallel(4, |thread| {
            let mut count = Count::default();
            for call in 0..40 {
                let (org, user) = (names[call % 2], names[(call + thread) % 4]);
                let limits = (orgs.at(org), users.at(user), &global);
                count.add(limits.try_acquire(1));
            }
            count
        });
        let Count {
            admitted,
            forfeited,
        } = Count::sum(&counts);
        let of_orgs: u64 = names[..2]
            .iter()
            .map(|name| 30 - orgs.available(*name))
            .sum();
        let of_users: u64 = names.iter().map(|name| 25 - users.available(*name)).sum();
        let of_global = 50 + round % 20 - global.available();
        assert_eq!(of_orgs + of_users + of_global, 3 * admitted + forfeited);
        assert!(of_global >= admitted && of_orgs >= admitted && of_users >= admitted);
    }
}
