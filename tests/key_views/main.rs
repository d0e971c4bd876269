//! Keys of tables as limiters: views in generic code, charges and their undo, debits, credits and
//! resets, against exact arithmetic and beside waits.

extern crate alloc;

mod failed_log_ins;
mod generic_code;
#[expect(dead_code, reason = "these tests need a part of it")]
#[path = "../waits/manual_timer.rs"]
mod manual_timer;
mod oracle;
mod overflow;
mod returned_tokens;
mod undo;
mod waits;

use tidegate::{FixedKeyed, Keyed, Limiter, ManualClock, Quota, Timestamp, TokenBucket};

const fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Nanoseconds per token of [`per_second`].
const SECOND: u64 = 1_000_000_000;

/// One token per second.
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

type Buckets = Keyed<u64, TokenBucket<ManualClock>>;

/// Buckets that are kept as a word.
fn words(burst: u64, clock: &ManualClock) -> Buckets {
    keyed(clock, move |_, clock| bucket(per_second(burst), clock))
}

/// Buckets of a quota that is not the first key's.
fn other_words(burst: u64, clock: &ManualClock) -> Buckets {
    let keyed = keyed(clock, move |key, clock| match key {
        u64::MAX => bucket(Quota::per_hour(1), clock),
        _ => bucket(per_second(burst), clock),
    });
    keyed.try_acquire(&u64::MAX, 1).expect("the first key");
    keyed
}

/// Buckets that are kept whole, because so many quotas come before.
fn whole(burst: u64, clock: &ManualClock) -> Buckets {
    let keyed = keyed(clock, move |key, clock| {
        match key.checked_sub(u64::MAX - 70) {
            Some(number) => bucket(Quota::per_hour(1 + number), clock),
            None => bucket(per_second(burst), clock),
        }
    });
    for number in 0..=70 {
        keyed.try_acquire(&(u64::MAX - number), 1).expect("new");
    }
    keyed
}

/// Buckets in a table of fixed size.
fn fixed(burst: u64, clock: &ManualClock) -> FixedKeyed<ManualClock> {
    FixedKeyed::with_clock(per_second(burst), 1_000, clock.clone())
}

/// Calls `$check(&table, &clock)` with a new table of each kind whose buckets have this burst.
macro_rules! on_each_table {
    ($check:expr, $burst:expr) => {{
        on_each_table!(@ $check, $burst, fixed, words, other_words, whole);
    }};
    (@ $check:expr, $burst:expr, $($table:ident),*) => {$(
        let clock = tidegate::ManualClock::new();
        let table = crate::$table($burst, &clock);
        $check(&table, &clock);
    )*};
}
use on_each_table;

/// A table of token buckets, whichever it is.
trait Table {
    type View<'a>: Limiter<Charge = Self::Charge>
    where
        Self: 'a;
    type Charge: Send;

    fn view<'a>(&'a self, key: &'a u64) -> Self::View<'a>;
    fn debit_at(&self, key: u64, n: u64, now: Timestamp);
    fn credit_at(&self, key: u64, n: u64, now: Timestamp);
    fn reset_at(&self, key: u64, now: Timestamp);
    fn debt_at(&self, key: u64, now: Timestamp) -> u64;
    fn overflowed(&self) -> u64;
    /// Evicts what can be evicted, if the table can do so at once.
    fn evict_at(&self, now: Timestamp);
    /// Removes a key, and returns `false` if the table cannot.
    fn remove(&self, key: u64) -> bool;
}

macro_rules! views {
    ($($table:ty),*) => {$(
        impl Table for $table {
            type View<'a> = tidegate::KeyView<&'a Self, &'a u64>;
            type Charge = <tidegate::KeyView<&'static Self, &'static u64> as Limiter>::Charge;

            fn view<'a>(&'a self, key: &'a u64) -> Self::View<'a> {
                self.at(key)
            }

            fn debit_at(&self, key: u64, n: u64, now: Timestamp) {
                self.at(&key).debit_at(n, now);
            }

            fn credit_at(&self, key: u64, n: u64, now: Timestamp) {
                self.at(&key).credit_at(n, now);
            }

            fn reset_at(&self, key: u64, now: Timestamp) {
                self.at(&key).reset_at(now);
            }

            fn debt_at(&self, key: u64, now: Timestamp) -> u64 {
                self.at(&key).debt_at(now)
            }

            fn overflowed(&self) -> u64 {
                self.stats().overflowed
            }

            fn evict_at(&self, now: Timestamp) {
                Evictable::evict_at(self, now);
            }

            fn remove(&self, key: u64) -> bool {
                Evictable::remove(self, key)
            }
        }
    )*};
}
views!(Buckets, FixedKeyed<ManualClock>);

trait Evictable {
    fn evict_at(&self, now: Timestamp);
    fn remove(&self, key: u64) -> bool;
}

impl Evictable for Buckets {
    fn evict_at(&self, now: Timestamp) {
        self.evict_unused_at(now);
    }

    fn remove(&self, key: u64) -> bool {
        Self::remove(self, &key);
        true
    }
}

impl Evictable for FixedKeyed<ManualClock> {
    fn evict_at(&self, _: Timestamp) {}

    fn remove(&self, _: u64) -> bool {
        false
    }
}
