//! Values of header fields that are made once, and then shared: `RateLimit-Policy` and
//! `X-RateLimit-Limit`. They change only with quotas.
//!
//! Each thread keeps the last few. Threads that share a value would all count their references in
//! one word. A key with a quota of its own may take the place of another value, which is then made
//! again.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;
use std::thread::LocalKey;

use http::HeaderValue;

use super::field_values::{limit, list_value, number, put_policy, small_number};
use crate::snapshot::{QuotaUnit, Snapshot};

std::thread_local! {
    static POLICIES: Kept<Policy> = const { Kept::none() };
    static CAPACITIES: Kept<Capacity> = const { Kept::none() };
}

/// How many values of each kind a thread keeps. An application has few quotas at a time.
const PLACES: usize = 8;

/// What a thread has made.
struct Kept<T>(RefCell<[Option<T>; PLACES]>);

impl<T> Kept<T> {
    const fn none() -> Self {
        Self(RefCell::new([const { None }; PLACES]))
    }
}

/// Uses the value for a capacity that the thread has kept, or makes it.
fn use_kept<T, R>(
    kept: &'static LocalKey<Kept<T>>,
    capacity: u64,
    fits: impl Fn(&T) -> bool,
    make: impl Fn() -> T,
    operation: impl Fn(&T) -> R,
) -> R {
    let used = kept.try_with(|Kept(places)| {
        // Multiplied by 2^64 / φ, which spreads the capacities over the high bits.
        let place = capacity.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES.ilog2());
        #[expect(clippy::cast_possible_truncation, reason = "less than `PLACES`")]
        let place = &mut places.borrow_mut()[place as usize];
        if !place.as_ref().is_some_and(&fits) {
            *place = Some(make());
        }
        place.as_ref().map(&operation)
    });
    // Not if the thread is ending and its thread-locals are gone.
    used.ok().flatten().unwrap_or_else(|| operation(&make()))
}

/// A value of `X-RateLimit-Limit`.
struct Capacity {
    capacity: u64,
    value: HeaderValue,
}

/// The value of `X-RateLimit-Limit`.
pub(super) fn capacity_value(capacity: u64) -> HeaderValue {
    let shared = || {
        let make = || Capacity {
            capacity,
            value: number(capacity),
        };
        let fits = |kept: &Capacity| kept.capacity == capacity;
        use_kept(&CAPACITIES, capacity, fits, make, |kept| kept.value.clone())
    };
    small_number(capacity).unwrap_or_else(shared)
}

/// A value of `RateLimit-Policy`, and what it was made of.
struct Policy {
    name: Box<str>,
    capacity: u64,
    refill_time: Duration,
    unit: QuotaUnit,
    value: HeaderValue,
    /// The length of the quoted name, with which the value begins.
    quoted: usize,
}

impl Policy {
    fn new(name: &str, snapshot: &Snapshot) -> Self {
        let mut list = Vec::new();
        let quoted = put_policy(&mut list, name, snapshot);
        Self {
            name: Box::from(name),
            capacity: snapshot.capacity,
            refill_time: snapshot.refill_time,
            unit: snapshot.unit,
            value: list_value(list),
            quoted,
        }
    }

    fn is_of(&self, name: &str, snapshot: &Snapshot) -> bool {
        self.capacity == snapshot.capacity
            && self.refill_time == snapshot.refill_time
            && self.unit == snapshot.unit
            && *self.name == *name
    }

    /// The values of `RateLimit-Policy` and `RateLimit`.
    fn values(&self, snapshot: &Snapshot, wait: Option<Duration>) -> (HeaderValue, HeaderValue) {
        let quoted = &self.value.as_bytes()[..self.quoted];
        (self.value.clone(), limit(quoted, snapshot.available, wait))
    }
}

/// The values of `RateLimit-Policy` and `RateLimit` for a limit with this name. `wait` is the time
/// until there is more.
pub(super) fn draft_values(
    name: &str,
    snapshot: &Snapshot,
    wait: Option<Duration>,
) -> (HeaderValue, HeaderValue) {
    use_kept(
        &POLICIES,
        snapshot.capacity,
        |policy| policy.is_of(name, snapshot),
        || Policy::new(name, snapshot),
        |policy| policy.values(snapshot, wait),
    )
}
