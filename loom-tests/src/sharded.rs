//! The leases of a sharded token bucket.

use core::time::Duration;

use loom::sync::Arc;
use loom::thread;

use crate::model::{SharedClock, explore};
use crate::tidegate::{Clock, Quota, ShardedTokenBucket, Timestamp, UnixTime};
use crate::{model, mutant};

/// Nanoseconds per token.
const T: u64 = 1_000;
const CAPACITY: u64 = 6;
const SHARDS: usize = 2;
/// The largest lease under loom. The first call of a full bucket for one or two tokens makes it.
const LARGEST_LEASE: u64 = 2;

/// The instant of a reading. Not the very start of an epoch, where each call takes the long way.
const fn at(nanos: u64) -> Timestamp {
    model::at(nanos + 1)
}

/// The newest time: what a bucket reads is never older than what has happened.
struct Present(Arc<SharedClock>);

impl Clock for Present {
    fn now(&self) -> Timestamp {
        at(self.0.latest())
    }
}

/// An admitted call: the clock reading that it began with, the time when it ended, and its tokens.
/// Each token was taken at some instant in between, as a lease is used without a clock.
type Admitted = (u64, u64, u64);

fn quota(interval: u64, burst: u64) -> Quota {
    Quota::new(1, Duration::from_nanos(interval))
        .and_then(|quota| quota.try_burst(burst))
        .expect("representable")
}

/// A bucket of `CAPACITY` tokens, one per `T`, and its clock.
struct World {
    bucket: ShardedTokenBucket<Present>,
    clock: Arc<SharedClock>,
}

impl World {
    fn new() -> Arc<Self> {
        let clock = Arc::new(SharedClock::at(0));
        let bucket =
            ShardedTokenBucket::with_shards(quota(T, CAPACITY), Present(clock.clone()), SHARDS);
        Arc::new(Self { bucket, clock })
    }

    /// A world in which shard 0 has leased, used a token, and time has passed.
    fn after_a_call() -> (Arc<Self>, Vec<Admitted>) {
        let world = Self::new();
        let admitted = Vec::from_iter(world.call(0, 1));
        world.clock.advance(20 * T);
        (world, admitted)
    }

    /// Takes `n` as a thread of a shard.
    fn admit(&self, shard: usize, n: u64, now: u64) -> bool {
        self.bucket.try_acquire_on(shard, n, at(now)).is_ok()
    }

    fn call_at(&self, shard: usize, n: u64, start: u64) -> Option<Admitted> {
        self.admit(shard, n, start)
            .then(|| (start, self.clock.latest(), n))
    }

    /// A call with a reading that may be old.
    fn stale(&self, shard: usize, n: u64) -> Option<Admitted> {
        self.call_at(shard, n, self.clock.now())
    }

    /// A call with the newest reading.
    fn call(&self, shard: usize, n: u64) -> Option<Admitted> {
        self.call_at(shard, n, self.clock.latest())
    }

    /// After all threads have ended, takes all that is left, in one call of any shard.
    fn drain(&self, admitted: &mut Vec<Admitted>) {
        self.assert_accounted();
        let now = self.clock.latest();
        let left = self.bucket.available_at(at(now));
        assert!(!self.admit(0, left + 1, now), "more than available");
        assert!(self.admit(1, left, now), "less than available");
        assert!(!self.admit(0, 1, now), "more than all");
        admitted.push((now, now, left));
        self.assert_accounted();
    }

    fn assert_accounted(&self) {
        let (held, counted) = self.bucket.held_and_counted();
        assert_eq!(held, counted, "held, and counted in leases");
    }

    fn finish(&self, mut admitted: Vec<Admitted>) {
        self.drain(&mut admitted);
        assert_bound(&admitted);
    }
}

/// Asserts that the calls that lie wholly in an interval keep to its bound. Then there are instants
/// for all of them that do.
fn assert_bound(admitted: &[Admitted]) {
    for &(start, ..) in admitted {
        for &(_, end, _) in admitted {
            let within = |call: &&Admitted| start <= call.0 && call.1 <= end;
            let sum: u64 = admitted.iter().filter(within).map(|call| call.2).sum();
            let bound = CAPACITY + end.saturating_sub(start) / T;
            assert!(
                sum <= bound,
                "{sum} of {bound} in [{start}, {end}]: {admitted:?}"
            );
        }
    }
}

/// Two threads of one shard with one call each. Kills `stale_settlement`.
///
/// One thread uses an old lease. The other, with a reading from before that, charges for what was
/// used of the lease.
fn settled_by_a_stale_reader() {
    explore(5, || {
        let (world, mut admitted) = World::after_a_call();
        let stale = {
            let world = world.clone();
            thread::spawn(move || world.stale(0, 2))
        };
        world.clock.advance(20 * T);
        admitted.extend(world.call(0, 1));
        admitted.extend(stale.join().unwrap());
        world.finish(admitted);
    });
}

/// Two threads of two shards with one call each. Kills `stale_settlement`, `endless_settlement`.
///
/// The stale reader takes the lease away, because it wants more than the TAT allows. If the TAT is
/// too far ahead of its reading, it is refused.
fn taken_by_a_stale_reader() {
    explore(4, || {
        let (world, mut admitted) = World::after_a_call();
        let stale = {
            let world = world.clone();
            thread::spawn(move || world.stale(1, 5))
        };
        world.clock.advance(20 * T);
        admitted.extend(world.call(0, 1));
        admitted.extend(stale.join().unwrap());
        world.finish(admitted);
    });
}

/// Two threads of two shards with two calls each. Kills `held_before_tat`, `raised_too_late`,
/// `relaxed_tat`.
///
/// One thread leases, and uses its lease after time has passed. The other takes nearly all.
fn two_shards() {
    explore(4, || {
        let world = World::new();
        let other = {
            let world = world.clone();
            thread::spawn(move || [world.stale(0, 1), world.call(0, 1)])
        };
        world.clock.advance(20 * T);
        let mut admitted = Vec::from_iter(world.call(1, 5));
        admitted.extend(world.stale(1, 1));
        admitted.extend(other.join().unwrap().into_iter().flatten());
        world.finish(admitted);
    });
}

/// Two threads with four calls. Kills `lowered_too_early`, `lowered_before_exchange`,
/// `forgotten_use`.
///
/// One thread takes a lease away while its owner uses it and leases anew, and time passes.
fn thief() {
    explore(4, || {
        let (world, mut admitted) = World::after_a_call();
        let owner = {
            let world = world.clone();
            thread::spawn(move || [world.call(1, 4), world.call(0, 1), world.call(0, 2)])
        };
        world.clock.advance(T / 2);
        admitted.extend(world.call(1, 5));
        admitted.extend(owner.join().unwrap().into_iter().flatten());
        world.finish(admitted);
    });
}

/// Two threads of one shard with two calls each. Kills `take_without_swap`,
/// `spend_without_exchange`, `put_overwrites`.
fn one_shard() {
    explore(3, || {
        let (world, mut admitted) = World::after_a_call();
        let other = {
            let world = world.clone();
            thread::spawn(move || [world.stale(0, 1), world.call(0, 2)])
        };
        world.clock.advance(T);
        for n in [1, 2] {
            admitted.extend(world.call(0, n));
        }
        admitted.extend(other.join().unwrap().into_iter().flatten());
        world.finish(admitted);
    });
}

/// Three threads, two of one shard, with one call each. Kills `stale_settlement`,
/// `lowered_before_exchange`.
fn three_threads() {
    explore(1, || {
        let (world, mut admitted) = World::after_a_call();
        let others = [(0, 2), (1, 5)].map(|(shard, n)| {
            let world = world.clone();
            thread::spawn(move || world.stale(shard, n))
        });
        world.clock.advance(20 * T);
        admitted.extend(world.call(0, 1));
        for other in others {
            admitted.extend(other.join().unwrap());
        }
        world.finish(admitted);
    });
}

/// A call for a number of tokens as a thread of a shard.
type Request = (usize, u64);

/// How many tokens two threads get with two calls each at one instant, together with what is left
/// after them.
fn total_at_one_instant(used: u64, calls: [[Request; 2]; 2]) -> u64 {
    let world = World::new();
    assert!(used == 0 || world.call(0, used).is_some());
    let taken = |world: &World, calls: [Request; 2]| -> u64 {
        let admitted = calls.map(|(shard, n)| if world.admit(shard, n, 0) { n } else { 0 });
        admitted.iter().sum()
    };
    let [mine, others] = calls;
    let other = {
        let world = world.clone();
        thread::spawn(move || taken(&world, others))
    };
    let mine = taken(&world, mine);
    let others = other.join().unwrap();
    let mut left = Vec::new();
    world.drain(&mut left);
    used + mine + others + left[0].2
}

/// Two threads of one shard, or of two, with two calls each. Kills `dropped_leases`, `held_on_top`,
/// `take_without_swap`.
///
/// At one instant no token is lost, as long as more was used before than threads are about to
/// lease.
fn no_token_is_lost() {
    for calls in [
        [[(0, 1), (0, 1)], [(0, 1), (0, 1)]],
        [[(0, 1), (0, 1)], [(1, 1), (1, 2)]],
        [[(0, 1), (0, 1)], [(1, 4), (1, 1)]],
    ] {
        explore(4, move || {
            assert_eq!(total_at_one_instant(2, calls), CAPACITY);
        });
    }
}

/// Two threads of one shard, or of two, with two calls each. Kills `spend_without_exchange`,
/// `not_gathered`, `refused_beside_leases`.
///
/// Both lease from a full bucket. What one thread is about to lease counts as used if the other
/// leases before it, and no more.
fn two_first_leases() {
    for calls in [
        [[(0, 1), (0, 1)], [(0, 1), (0, 1)]],
        [[(0, 1), (0, 1)], [(1, 1), (1, 1)]],
    ] {
        explore(4, move || {
            let total = total_at_one_instant(0, calls);
            assert!(total <= CAPACITY, "{total} of {CAPACITY}");
            assert!(
                total + LARGEST_LEASE >= CAPACITY,
                "only {total} of {CAPACITY} are left"
            );
        });
    }
}

/// Two threads with one call each. Kills `held_on_top`, `one_try`.
///
/// At a full bucket no call is refused for which there is enough beside these: the other call, the
/// lease that the other call holds, and its own lease, which the other call counts as used. If each
/// call alone could be served, one of them is.
fn refused_for_a_reason() {
    for (n, m) in [(1, 1), (2, 2), (3, 2), (3, 4), (4, 6), (6, 6)] {
        explore(5, move || {
            let world = World::new();
            let other = {
                let world = world.clone();
                thread::spawn(move || world.admit(1, m, 0))
            };
            let one = world.admit(0, n, 0);
            let other = other.join().unwrap();
            assert!(one || other, "both were refused");
            if n + m + 2 * LARGEST_LEASE <= CAPACITY {
                assert!(one && other, "refused without a reason");
            }
            world.drain(&mut Vec::new());
        });
    }
}

impl World {
    /// What a save says was spent.
    fn spent(&self) -> u64 {
        let now = at(self.clock.latest());
        let saved = self.bucket.save_at(now, UnixTime::from_nanos(1));
        CAPACITY - saved.state().available()
    }
}

/// A save beside a refusal that moves a lease to other shards. Kills `summed_leases`.
fn save_beside_a_spread() {
    explore(5, || {
        let world = World::new();
        assert!(world.call(0, 1).is_some() && world.call(0, 1).is_some());
        let other = {
            let world = world.clone();
            thread::spawn(move || world.admit(1, CAPACITY, 0))
        };
        let spent = world.spent();
        assert!(spent >= 2, "saved {spent} of 2");
        assert!(!other.join().unwrap(), "more than available");
        assert_eq!(world.spent(), 2);
        world.assert_accounted();
    });
}

/// A save beside a refusal that charges what was used of a lease. Kills `unconfirmed_save`.
fn save_beside_a_settlement() {
    explore(5, || {
        let (world, _) = World::after_a_call();
        assert!(world.call(0, 1).is_some() && world.call(0, 1).is_some());
        let other = {
            let (world, now) = (world.clone(), world.clock.latest());
            thread::spawn(move || world.admit(1, CAPACITY - 1, now))
        };
        let spent = world.spent();
        assert!(spent >= 2, "saved {spent} of 2");
        assert!(!other.join().unwrap(), "more than available");
        assert_eq!(world.spent(), 2);
        world.assert_accounted();
    });
}

/// A save beside a change of the quota. Kills `forgotten_lease`.
fn save_beside_a_change() {
    explore(4, || {
        let (world, _) = World::after_a_call();
        assert!(world.call(0, 1).is_some() && world.call(0, 1).is_some());
        let other = {
            let (world, now) = (world.clone(), at(world.clock.latest()));
            thread::spawn(move || world.bucket.set_quota_at(quota(2 * T, CAPACITY), now))
        };
        let spent = world.spent();
        assert!(spent >= 2, "saved {spent} of 2");
        other.join().unwrap();
        assert_eq!(world.spent(), 2, "saved {spent} of 2");
        world.assert_accounted();
    });
}

/// How many tokens are there at one instant for the calls of one thread, for another thread that
/// changes the quota, and for all that is left after them. At first shard 0 has a lease of two.
fn total_over_changes<const N: usize>(calls: [Request; N], changes: &[Quota]) -> u64 {
    let world = World::new();
    assert!(world.call(0, 2).is_some());
    let other = {
        let world = world.clone();
        thread::spawn(move || {
            let admitted = calls.map(|(shard, n)| if world.admit(shard, n, 0) { n } else { 0 });
            admitted.iter().sum::<u64>()
        })
    };
    for quota in changes {
        world.bucket.set_quota_at(*quota, at(0));
    }
    let mut mine = u64::from(world.admit(1, 1, 0));
    let others = other.join().unwrap();
    let mut left = Vec::new();
    world.drain(&mut left);
    mine += left[0].2;
    2 + mine + others
}

/// Two threads, one with calls that use a lease, one with a change to a larger bucket. Kills
/// `open_leases`, `lost_leases`.
///
/// No token is lost, and none is there twice.
fn lease_beside_a_change() {
    explore(3, || {
        let total = total_over_changes([(0, 1), (0, 1)], &[quota(T, 9)]);
        assert!(total <= CAPACITY, "{total} tokens, a burst");
        assert!(total >= CAPACITY, "{total} tokens, some lost");
    });
}

/// Two threads, one with a call that takes a lease, one with a change to a larger bucket. Kills
/// `taken_closed`, `added_to_closed`.
///
/// At most the lease in transit is lost.
fn transit_beside_a_change() {
    explore(2, || {
        let total = total_over_changes([(0, 3), (0, 1)], &[quota(T, 9)]);
        assert!(total <= CAPACITY, "{total} tokens, a burst");
        let transit = 2 * LARGEST_LEASE;
        assert!(total + transit >= CAPACITY, "{total} tokens, some lost");
    });
}

/// Two threads, one with a reading that may be old, one with a change, and an advancing clock.
/// Kills `held_before_freeze`.
///
/// One thread leases as of long ago, so that only the count of held tokens shows it, and uses its
/// lease now.
fn stale_lease_beside_a_change() {
    explore(3, || {
        let (world, mut admitted) = World::after_a_call();
        let other = {
            let world = world.clone();
            thread::spawn(move || [world.stale(1, 1), world.call(1, 1)])
        };
        world.clock.advance(20 * T);
        let since = world.clock.latest();
        world.bucket.set_quota_at(quota(T, 9), at(since));
        admitted.extend(other.join().unwrap().into_iter().flatten());
        world.drain(&mut admitted);
        let within = admitted.iter().filter(|call| call.0 >= since);
        let sum: u64 = within.map(|call| call.2).sum();
        assert!(sum <= CAPACITY, "{sum} tokens, a burst");
    });
}

/// Two threads, one with a call, one with two changes. Kills `open_leases`.
///
/// A call that is late with the first change does not disturb the second.
fn lease_beside_two_changes() {
    explore(2, || {
        let total = total_over_changes([(0, 1)], &[quota(T, 9), quota(T, 7)]);
        assert!(total <= CAPACITY, "{total} tokens, a burst");
        // The call may lease on the first successor, and be too late to put the lease there.
        assert!(
            total + LARGEST_LEASE >= CAPACITY,
            "{total} tokens, some lost"
        );
    });
}

/// Two threads, one with a query, one with a change to a larger bucket. Kills `relaxed_lease`,
/// `lost_leases`.
///
/// At every moment there are the tokens that there were before.
fn query_beside_a_change() {
    explore(4, || {
        let world = World::new();
        assert!(world.call(0, 2).is_some());
        let other = {
            let world = world.clone();
            thread::spawn(move || world.bucket.available_at(at(0)))
        };
        world.bucket.set_quota_at(quota(T, 9), at(0));
        assert_eq!(other.join().unwrap(), CAPACITY - 2, "available");
        assert_eq!(world.bucket.available_at(at(0)), CAPACITY - 2, "available");
    });
}

/// Two threads, one with readings that may be old, one with a change, and an advancing clock. Kills
/// `open_leases`, `forgotten_lease`.
///
/// No more is admitted than what each quota allows in its part.
fn stale_reader_beside_a_change() {
    explore(3, || {
        let (world, mut admitted) = World::after_a_call();
        let other = {
            let world = world.clone();
            thread::spawn(move || [world.call(0, 1), world.stale(1, 2)])
        };
        let since = world.clock.latest();
        world.bucket.set_quota_at(quota(4 * T, 9), at(since));
        world.clock.advance(8 * T);
        admitted.extend(other.join().unwrap().into_iter().flatten());
        world.drain(&mut admitted);
        let within = admitted.iter().filter(|call| call.0 >= since);
        let sum: u64 = within.map(|call| call.2).sum();
        let most = CAPACITY + (world.clock.latest() - since) / (4 * T);
        assert!(sum <= most, "{sum} of {most}, a burst");
    });
}

mutant::tests! { "sharded":
    save_beside_a_spread { summed_leases: "saved" }
    save_beside_a_settlement { unconfirmed_save: "saved" }
    save_beside_a_change { forgotten_lease: "saved" }
    settled_by_a_stale_reader { stale_settlement: " of " }
    taken_by_a_stale_reader {
        stale_settlement: " of ",
        endless_settlement: "exceeded maximum number of branches",
        relaxed_held: passes,
    }
    two_shards {
        held_before_tat: " of ",
        raised_too_late: " of ",
        relaxed_tat: " of ",
        relaxed_held: passes,
    }
    thief {
        lowered_too_early: " of ",
        lowered_before_exchange: " of ",
        forgotten_use: " of ",
        relaxed_held: passes,
    }
    one_shard {
        take_without_swap: "lowered below zero",
        spend_without_exchange: " of ",
        put_overwrites: "held, and counted",
    }
    three_threads { stale_settlement: " of ", lowered_before_exchange: " of " }
    no_token_is_lost {
        dropped_leases: "left == right",
        held_on_top: "left == right",
        take_without_swap: "lowered below zero",
        relaxed_held: passes,
    }
    two_first_leases {
        spend_without_exchange: " of ",
        not_gathered: "less than available",
        refused_beside_leases: "less than available",
    }
    refused_for_a_reason { held_on_top: "without a reason", one_try: "without a reason" }
    lease_beside_a_change {
        open_leases: "a burst",
        lost_leases: "some lost",
    }
    transit_beside_a_change {
        taken_closed: "do not fit its word",
        added_to_closed: "more than all",
    }
    stale_lease_beside_a_change { held_before_freeze: "a burst" }
    lease_beside_two_changes { open_leases: "more than all" }
    query_beside_a_change { relaxed_lease: "available", lost_leases: "available" }
    stale_reader_beside_a_change { open_leases: "more than all", forgotten_lease: "a burst" }
}
