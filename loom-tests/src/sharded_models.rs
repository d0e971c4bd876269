//! What must hold for a bucket of shards, whatever the threads do.

use loom::sync::Arc;
use loom::thread;

use crate::{SharedClock, explore};

/// Nanoseconds per token.
pub const T: u64 = 1_000;
pub const CAPACITY: u64 = 6;
pub const SHARDS: usize = 2;
/// The largest lease, in models; the first call of a full bucket for one or two makes it.
pub const LARGEST: u64 = 2;

/// What the models need of a bucket of `CAPACITY` tokens, one per `T`, in `SHARDS` shards; times in nanoseconds.
pub trait Sharded: Send + Sync + Sized + 'static {
    fn new(clock: Arc<SharedClock>) -> Self;

    /// Takes `n` as a thread of that shard.
    fn admit(&self, shard: usize, n: u64, now: u64) -> bool;

    fn available(&self, now: u64) -> u64;

    /// What is counted as held, and what the leases in shards are counted as.
    fn held_and_counted(&self) -> (u64, u64);
}

/// A call that was admitted: from the clock reading that it brought to the time when it was over, and how much. What it took it
/// took at some instant in between: a lease is used without a clock.
type Admitted = (u64, u64, u64);

struct World<S> {
    bucket: S,
    clock: Arc<SharedClock>,
}

impl<S: Sharded> World<S> {
    fn new() -> Arc<Self> {
        let clock = Arc::new(SharedClock::at(0));
        let bucket = S::new(clock.clone());
        Arc::new(Self { bucket, clock })
    }

    /// A call that brings a reading that may be old.
    fn stale(&self, shard: usize, n: u64) -> Option<Admitted> {
        let start = self.clock.now();
        let admitted = self.bucket.admit(shard, n, start);
        admitted.then(|| (start, self.clock.latest(), n))
    }

    /// A call that brings the newest reading.
    fn call(&self, shard: usize, n: u64) -> Option<Admitted> {
        let start = self.clock.latest();
        let admitted = self.bucket.admit(shard, n, start);
        admitted.then(|| (start, self.clock.latest(), n))
    }

    /// When all threads are done: what is left is there, and all of it can be had by anybody; nothing is in anybody's hand.
    fn drain(&self, admitted: &mut Vec<Admitted>) {
        self.assert_accounted();
        let now = self.clock.latest();
        let left = self.bucket.available(now);
        assert!(!self.bucket.admit(0, left + 1, now), "more than was told");
        assert!(self.bucket.admit(1, left, now), "less than was told");
        assert!(!self.bucket.admit(0, 1, now), "more than all");
        admitted.push((now, now, left));
        self.assert_accounted();
    }

    fn assert_accounted(&self) {
        let (held, counted) = self.bucket.held_and_counted();
        assert_eq!(held, counted, "held, and counted in leases");
    }
}

/// Asserts that no interval has more calls wholly in it than it may: then there are instants for all of them that keep to the bound.
fn assert_bound(admitted: &[Admitted]) {
    for &(start, ..) in admitted {
        for &(_, end, _) in admitted {
            let within = |call: &&Admitted| start <= call.0 && call.1 <= end;
            let sum: u64 = admitted.iter().filter(within).map(|call| call.2).sum();
            let bound = CAPACITY + end.saturating_sub(start) / T;
            assert!(
                sum <= bound,
                "{sum} in [{start}, {end}] of {bound}: {admitted:?}"
            );
        }
    }
}

/// A lease that was made long ago is used, while another thread of the same shard, whose reading is from before, charges for what
/// was used of it (G1). Two threads. Killed by `StaleSettlement`.
pub fn settled_by_a_stale_reader<S: Sharded>() {
    explore(5, || {
        let world = World::<S>::new();
        let mut admitted = Vec::from_iter(world.call(0, 1));
        world.clock.advance(20 * T);
        let stale = {
            let world = world.clone();
            thread::spawn(move || world.stale(0, 2))
        };
        world.clock.advance(20 * T);
        admitted.extend(world.call(0, 1));
        admitted.extend(stale.join().unwrap());
        world.drain(&mut admitted);
        assert_bound(&admitted);
    });
}

/// The same from another shard: the stale reader takes the lease away, because it wants more than the time line has. If the time line
/// is too far ahead for it, it is refused. Two threads. Killed by `StaleSettlement` and `EndlessSettlement`.
pub fn taken_by_a_stale_reader<S: Sharded>() {
    explore(4, || {
        let world = World::<S>::new();
        let mut admitted = Vec::from_iter(world.call(0, 1));
        world.clock.advance(20 * T);
        let stale = {
            let world = world.clone();
            thread::spawn(move || world.stale(1, 5))
        };
        world.clock.advance(20 * T);
        admitted.extend(world.call(0, 1));
        admitted.extend(stale.join().unwrap());
        world.drain(&mut admitted);
        assert_bound(&admitted);
    });
}

/// A thread leases and uses what it has leased, while the time line catches up, and another thread of another shard takes nearly
/// all (G1). Two threads with two calls each. Killed by `HeldBeforeTat`, `RaisedTooLate` and `RelaxedTat`.
pub fn two_shards<S: Sharded>() {
    explore(4, || {
        let world = World::<S>::new();
        let other = {
            let world = world.clone();
            thread::spawn(move || [world.stale(0, 1), world.call(0, 1)])
        };
        world.clock.advance(20 * T);
        let mut admitted = Vec::from_iter(world.call(1, 5));
        admitted.extend(world.stale(1, 1));
        admitted.extend(other.join().unwrap().into_iter().flatten());
        world.drain(&mut admitted);
        assert_bound(&admitted);
    });
}

/// A lease is taken away while its owner uses it and leases anew, and time passes (G1). Two threads, three calls of the owner.
/// Killed by `LoweredTooEarly`, `LoweredBeforeExchange` and `ForgottenUse`.
pub fn thief<S: Sharded>() {
    explore(4, || {
        let world = World::<S>::new();
        let mut admitted = Vec::from_iter(world.call(0, 1));
        world.clock.advance(20 * T);
        let owner = {
            let world = world.clone();
            thread::spawn(move || [world.call(1, 4), world.call(0, 1), world.call(0, 2)])
        };
        world.clock.advance(T / 2);
        admitted.extend(world.call(1, 5));
        admitted.extend(owner.join().unwrap().into_iter().flatten());
        world.drain(&mut admitted);
        assert_bound(&admitted);
    });
}

/// Two threads of one shard, with two calls each, while time passes (G1). Killed by `TakeWithoutSwap`, `SpendWithoutExchange` and
/// `PutOverwrites`.
pub fn one_shard<S: Sharded>() {
    explore(3, || {
        let world = World::<S>::new();
        let mut admitted = Vec::from_iter(world.call(0, 1));
        world.clock.advance(20 * T);
        let other = {
            let world = world.clone();
            thread::spawn(move || [world.stale(0, 1), world.call(0, 2)])
        };
        world.clock.advance(T);
        for n in [1, 2] {
            admitted.extend(world.call(0, n));
        }
        admitted.extend(other.join().unwrap().into_iter().flatten());
        world.drain(&mut admitted);
        assert_bound(&admitted);
    });
}

/// How many tokens threads with these calls at one instant get, and what is left for whoever comes after them.
fn total_at_one_instant<S: Sharded>(used: u64, calls: [[(usize, u64); 2]; 2]) -> u64 {
    let world = World::<S>::new();
    assert!(used == 0 || world.call(0, used).is_some());
    let [mine, others] = calls;
    let other = {
        let world = world.clone();
        thread::spawn(move || others.map(|(shard, n)| world.bucket.admit(shard, n, 0)))
    };
    let mine_admitted = mine.map(|(shard, n)| world.bucket.admit(shard, n, 0));
    let others_admitted = other.join().unwrap();
    let mut admitted = Vec::new();
    world.drain(&mut admitted);
    let counted = |calls: [(usize, u64); 2], admitted: [bool; 2]| -> u64 {
        let admitted = calls.iter().zip(admitted).filter(|(_, admitted)| *admitted);
        admitted.map(|((_, n), _)| n).sum()
    };
    used + counted(mine, mine_admitted) + counted(others, others_admitted) + admitted[0].2
}

/// Nothing is lost where time stands still, as long as more was used than others are about to lease: two threads of one shard or of
/// two, two calls each, and what they have left is had by whoever comes after them. Killed by `DroppedHand`, `HeldOnTop`,
/// `PutOverwrites` and `TakeWithoutSwap`.
pub fn nothing_is_lost<S: Sharded>() {
    for calls in [
        [[(0, 1), (0, 1)], [(0, 1), (0, 1)]],
        [[(0, 1), (0, 1)], [(1, 1), (1, 2)]],
        [[(0, 1), (0, 1)], [(1, 4), (1, 1)]],
    ] {
        explore(4, move || {
            assert_eq!(total_at_one_instant::<S>(2, calls), CAPACITY);
        });
    }
}

/// Three threads, two of one shard, with one call each, while time passes (G1). Killed by `StaleSettlement` and `LoweredBeforeExchange`.
pub fn three_threads<S: Sharded>() {
    explore(1, || {
        let world = World::<S>::new();
        let mut admitted = Vec::from_iter(world.call(0, 1));
        world.clock.advance(20 * T);
        let threads = [(0, 2), (1, 5)].map(|(shard, n)| {
            let world = world.clone();
            thread::spawn(move || world.stale(shard, n))
        });
        world.clock.advance(20 * T);
        admitted.extend(world.call(0, 1));
        for thread in threads {
            admitted.extend(thread.join().unwrap());
        }
        world.drain(&mut admitted);
        assert_bound(&admitted);
    });
}

/// Two threads at one instant, one call each, at a full bucket: nobody is refused for whom there is enough beside what the other
/// takes, the lease that the other has in hand, and the one that it was about to make itself, which the other took for used; and not
/// both are, if each alone could be served. Killed by `HeldOnTop` and `OneTry`.
pub fn refused_for_a_reason<S: Sharded>() {
    for (n, m) in [(1, 1), (2, 2), (3, 2), (3, 4), (4, 6), (6, 6)] {
        explore(5, move || {
            let world = World::<S>::new();
            let other = {
                let world = world.clone();
                thread::spawn(move || world.bucket.admit(1, m, 0))
            };
            let one = world.bucket.admit(0, n, 0);
            let other = other.join().unwrap();
            assert!(one || other, "both were refused");
            if n + m + 2 * LARGEST <= CAPACITY {
                assert!(one && other, "refused without a reason");
            }
            world.drain(&mut Vec::new());
        });
    }
}

/// Two threads lease from a full bucket: what one of them is about to lease counts as used if the other comes first, and no more.
/// Killed by `SpendWithoutExchange` and `NotGathered`.
pub fn two_first_leases<S: Sharded>() {
    for calls in [
        [[(0, 1), (0, 1)], [(0, 1), (0, 1)]],
        [[(0, 1), (0, 1)], [(1, 1), (1, 1)]],
    ] {
        explore(4, move || {
            let total = total_at_one_instant::<S>(0, calls);
            assert!(total <= CAPACITY, "{total} of {CAPACITY}");
            assert!(
                total + LARGEST >= CAPACITY,
                "only {total} of {CAPACITY} are left"
            );
        });
    }
}
