//! The rows: limiters, and the calls of a slice.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidegate::{Quota, ShardedTokenBucket, SlidingWindow, TokenBucket};

use crate::gate::without_status;
use crate::histories::evenly_used_window;
use crate::keyed::{KeyLimit, KeyedGate, Visits, fixed, governor_keyed, keyed, name};
use crate::parts::ClockAlone;
use crate::{
    Gate, HIGH, HOUR, MutexDeque, api, asked, exhausted, governor, governor_hint_read,
    governor_hourly, governor_plenty, hourly, plenty, window,
};

/// The calls of one thread in a slice.
#[derive(Clone, Copy)]
pub(super) struct Slice {
    pub(super) thread: usize,
    pub(super) threads: usize,
    /// The number of the first call, counted from the beginning of the run.
    pub(super) first: usize,
    pub(super) calls: usize,
}

pub(super) struct Row {
    pub(super) name: &'static str,
    /// Makes the calls, and asserts the outcome of each.
    pub(super) calls: Box<dyn Fn(Slice) + Sync>,
}

fn row(name: &'static str, admits: bool, gate: impl Gate + 'static) -> Row {
    let calls = move |Slice { calls, .. }: Slice| {
        let expected = (0..calls).filter(|_| gate.admit() == admits).count();
        assert_eq!(expected, calls, "{name}");
    };
    Row {
        name,
        calls: Box::new(calls),
    }
}

/// The outcome of a wait while permits are there.
fn ready<F: Future>(wait: F) -> F::Output {
    match pin!(wait).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("permits are there"),
    }
}

/// The keys of the rows of tables.
const KEYS: usize = 1_000;

fn keyed_row(
    name: &'static str,
    spends: bool,
    visits: &Arc<Visits>,
    gate: impl KeyedGate<String> + 'static,
) -> Row {
    for number in 0..KEYS as u64 {
        let key = self::name(number);
        // So that its bucket is not full, or that the table knows the key.
        let spent = if spends { KeyLimit::HOUR } else { 1 };
        assert!(gate.spend(&key, spent), "{name}");
    }
    let visits = Arc::clone(visits);
    let calls = move |slice: Slice| {
        let start = visits.start(slice.thread, slice.threads) + slice.first;
        let calls = start..start + slice.calls;
        let expected = calls.filter(|&call| gate.admit(visits.key(call))).count();
        assert_eq!(expected, slice.calls, "{name}");
    };
    Row {
        name,
        calls: Box::new(calls),
    }
}

pub(super) fn all() -> Vec<Row> {
    let mut rows = direct();
    let [uniform, zipf] = [Visits::uniform(KEYS), Visits::zipf(KEYS)].map(Arc::new);
    let plenty = KeyLimit::PLENTY;
    rows.extend([
        keyed_row(
            "governor keyed, uniform",
            true,
            &uniform,
            governor_keyed(plenty),
        ),
        keyed_row("Keyed, uniform", true, &uniform, keyed(plenty)),
        keyed_row("FixedKeyed, uniform", true, &uniform, fixed(plenty, KEYS)),
        keyed_row("governor keyed, Zipf", true, &zipf, governor_keyed(plenty)),
        keyed_row("Keyed, Zipf", true, &zipf, keyed(plenty)),
        keyed_row("FixedKeyed, Zipf", true, &zipf, fixed(plenty, KEYS)),
        keyed_row(
            "governor keyed, full at each visit",
            false,
            &uniform,
            governor_keyed(KeyLimit::FULL),
        ),
        keyed_row(
            "Keyed, full at each visit",
            false,
            &uniform,
            keyed(KeyLimit::FULL),
        ),
    ]);
    rows
}

/// Those of one key.
fn direct() -> Vec<Row> {
    let steady = evenly_used_window(64);
    let used_up = SlidingWindow::new(1_000, HOUR).expect("in range");
    vec![
        row("clock alone", true, ClockAlone),
        row("governor admits", true, governor(governor_plenty())),
        row("bucket admits", true, TokenBucket::new(plenty())),
        row(
            "sharded bucket admits",
            true,
            ShardedTokenBucket::new(plenty()),
        ),
        row(
            "mutex deque admits",
            true,
            MutexDeque::new(usize::MAX, Duration::from_millis(1)),
        ),
        row("window admits", true, window(64)),
        row(
            "governor refuses",
            false,
            exhausted(governor(governor_hourly())),
        ),
        row(
            "governor refuses, hint read",
            false,
            governor_hint_read(exhausted(governor(governor_hourly()))),
        ),
        row("bucket refuses", false, exhausted(hourly())),
        row(
            "bucket refuses, 7 per hour",
            false,
            exhausted(TokenBucket::new(Quota::per_hour(7))),
        ),
        row(
            "sharded bucket refuses",
            false,
            exhausted(ShardedTokenBucket::new(Quota::per_hour(1))),
        ),
        row("window refuses, steady traffic", false, steady),
        row("window refuses, used up at once", false, exhausted(used_up)),
        row(
            "governor, await",
            true,
            asked(governor(governor_plenty()), |limiter| {
                ready(limiter.until_ready())
            }),
        ),
        row(
            "bucket, await",
            true,
            asked(TokenBucket::new(plenty()), |bucket| {
                ready(bucket.acquire(1))
            }),
        ),
        row("ApiRateLimiter admits", true, api(HIGH)),
        row(
            "ApiRateLimiter admits, no status",
            true,
            without_status(api(HIGH)),
        ),
        row("ApiRateLimiter refuses", false, exhausted(api(50))),
        row(
            "ApiRateLimiter refuses, no status",
            false,
            without_status(exhausted(api(50))),
        ),
    ]
}
