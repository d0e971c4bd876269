//! Waits for a key of a table: order, bounds, and keys that come and go meanwhile.

extern crate alloc;

mod bounds;
mod goodput;
mod leaving;
mod limiters;
#[path = "../waits/manual_timer.rs"]
mod manual_timer;
mod order;
mod overflow;
#[path = "../parallel/mod.rs"]
mod parallel;
#[path = "../waits/random.rs"]
mod random;
mod removals;
mod same_hash;
mod schedules;
mod threads;
mod timeouts;
mod waiters;

use core::time::Duration;

use alloc::sync::Arc;

#[cfg(feature = "dashmap")]
use tidegate::DashKeyed;
use tidegate::{
    Combined, FixedKeyed, Keyed, Limiter, ManualClock, Quota, ShardedTokenBucket, SlidingWindow,
    TokenBucket,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const NANOSECOND: Duration = Duration::from_nanos(1);

/// Refills one token per second.
const fn per_second(burst: u64) -> Quota {
    Quota::per_second(1).burst(burst)
}

fn bucket(quota: Quota, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(quota, clock.clone())
}

/// A table whose keys have the limiters that `make` returns.
fn keyed<L: Limiter>(
    clock: &ManualClock,
    make: impl Fn(u64, &ManualClock) -> L + Send + Sync + 'static,
) -> Keyed<u64, L> {
    let clock = clock.clone();
    Keyed::new(move |key| make(*key, &clock))
}

/// Buckets in a table of fixed size.
fn fixed(burst: u64, clock: &ManualClock) -> FixedKeyed<ManualClock> {
    FixedKeyed::with_clock(per_second(burst), 1_000, clock.clone())
}

/// Buckets that are kept as a word.
fn words(burst: u64, clock: &ManualClock) -> Keyed<u64, TokenBucket<ManualClock>> {
    keyed(clock, move |_, clock| bucket(per_second(burst), clock))
}

/// Buckets of a quota that is not the first key's.
fn other_words(burst: u64, clock: &ManualClock) -> Keyed<u64, TokenBucket<ManualClock>> {
    let keyed = keyed(clock, move |key, clock| match key {
        u64::MAX => bucket(Quota::per_hour(1), clock),
        _ => bucket(per_second(burst), clock),
    });
    keyed.try_acquire(&u64::MAX, 1).expect("the first key");
    keyed
}

/// Buckets that are kept whole.
fn whole(burst: u64, clock: &ManualClock) -> Keyed<u64, Arc<TokenBucket<ManualClock>>> {
    keyed(clock, move |_, clock| {
        Arc::new(bucket(per_second(burst), clock))
    })
}

fn sharded(burst: u64, clock: &ManualClock) -> Keyed<u64, ShardedTokenBucket<ManualClock>> {
    keyed(clock, move |_, clock| {
        ShardedTokenBucket::with_clock(per_second(burst), clock.clone())
    })
}

/// Combinations of a bucket, and of a window that never refuses what the bucket admits.
fn combined(burst: u64, clock: &ManualClock) -> Keyed<u64, Combined<ManualClock>> {
    keyed(clock, move |_, clock| {
        let window = SlidingWindow::with_clock(2 * burst + 10, SECOND, clock.clone());
        Combined::builder()
            .limit("bucket", bucket(per_second(burst), clock))
            .limit("window", window.expect("valid"))
            .build()
    })
}

/// Buckets in a map of the user's own.
#[cfg(feature = "dashmap")]
fn dash(burst: u64, clock: &ManualClock) -> dash::DashTable<impl Fn(&u64) -> dash::Value> {
    let time = clock.clone();
    let make = move |_: &u64| (bucket(per_second(burst), &time), "a value");
    let project: dash::Project = |value| &value.0;
    DashKeyed::with_clock(dashmap::DashMap::new(), project, clock.clone()).or_insert_with(make)
}

#[cfg(feature = "dashmap")]
mod dash {
    use tidegate::{DashKeyed, ManualClock, NewKeys, TokenBucket};

    pub(crate) type Value = (TokenBucket<ManualClock>, &'static str);
    pub(crate) type Project = fn(&Value) -> &TokenBucket<ManualClock>;
    pub(crate) type DashTable<F> =
        DashKeyed<dashmap::DashMap<u64, Value>, Project, NewKeys<F>, ManualClock>;

    impl<F: Fn(&u64) -> Value> crate::Counts for DashTable<F> {
        fn waiting(&self) -> u64 {
            self.waiting()
        }

        fn waiting_for(&self, key: u64) -> u64 {
            self.at(&key).waiting()
        }

        fn available(&self, key: u64) -> u64 {
            self.available(&key)
        }

        fn spend(&self, key: u64, n: u64) {
            self.try_acquire(&key, n).expect("available");
        }
    }
}

/// Calls `check(&table, &clock)` with a new table of each kind whose buckets have this burst.
macro_rules! on_each_table {
    ($check:expr, $burst:expr) => {
        #[cfg(feature = "dashmap")]
        on_each_table!($check, $burst, dash);
        on_each_table!(
            $check,
            $burst,
            fixed,
            words,
            other_words,
            whole,
            sharded,
            combined
        )
    };
    ($check:expr, $burst:expr, $($table:ident),*) => {$(
        let clock = tidegate::ManualClock::new();
        $check(&crate::$table($burst, &clock), &clock);
    )*};
}
use on_each_table;

/// What both kinds of tables can tell.
trait Counts {
    fn waiting(&self) -> u64;
    fn waiting_for(&self, key: u64) -> u64;
    fn available(&self, key: u64) -> u64;
    fn spend(&self, key: u64, n: u64);
}

impl Counts for FixedKeyed<ManualClock> {
    fn waiting(&self) -> u64 {
        self.waiting()
    }

    fn waiting_for(&self, key: u64) -> u64 {
        self.at(&key).waiting()
    }

    fn available(&self, key: u64) -> u64 {
        self.available(&key)
    }

    fn spend(&self, key: u64, n: u64) {
        self.try_acquire(&key, n).expect("available");
    }
}

impl<L: Limiter + tidegate::Awaitable> Counts for Keyed<u64, L> {
    fn waiting(&self) -> u64 {
        self.waiting()
    }

    fn waiting_for(&self, key: u64) -> u64 {
        self.at(&key).waiting()
    }

    fn available(&self, key: u64) -> u64 {
        self.available(&key)
    }

    fn spend(&self, key: u64, n: u64) {
        self.try_acquire(&key, n).expect("available");
    }
}
