//! Lists the parts that cannot be avoided, and the hot paths.

use std::future::Future;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use tidegate::{Quota, ShardedTokenBucket, SlidingWindow, TokenBucket};

use super::floors::{ClockAndThree, Exchange, Hash, KeyWords, Load, Locked, Lookup, Miss};
use crate::histories::{evenly_used_window, used_up_before};
use crate::keyed::{KeyLimit, KeyedGate, KeysAlone, Visits, fixed, keyed, name, rename};
use crate::parts::{ClockAlone, ClockAndExchange, ClockAndLoad, OwnWord};
use crate::slices::{Calls, calls};
use crate::{Gate, HIGH, HOUR, api, asked, combined, exhausted, hourly, plenty, window};

/// Something that is called: a part, or a path.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// What a path cannot avoid: the name of a row that is no path.
    pub floor: Option<&'static str>,
    /// Makes the limiter, and a function that calls it.
    pub make: fn() -> Calls,
}

/// Lists rows, each as `name = function that makes the calls` or `name / floor = function`.
macro_rules! rows {
    (@floor) => { None };
    (@floor $floor:literal) => { Some($floor) };
    ($($name:literal $(/ $floor:literal)? = $make:expr;)*) => {
        &[$(Row {
            name: $name,
            floor: rows!(@floor $($floor)?),
            make: || $make,
        }),*]
    };
}

const THOUSAND: usize = 1_000;
const MILLION: usize = 1_000_000;

pub const ROWS: &[Row] = rows! {
    "clock" = admits(ClockAlone);
    "load" = admits(Load::default());
    "exchange" = admits(Exchange::default());
    "cache miss among 10^6 words" = admits(Miss::among(MILLION));
    "key alone" = known(KeysAlone, THOUSAND);
    // These three build up what `Keyed` does before it charges a bucket.
    "key, hash" = known(Hash::new(), THOUSAND);
    "key, hash, shared lock" = known(Locked::new(), THOUSAND);
    "key, hash, shared lock, lookup" = known(Lookup::new(), THOUSAND);
    "clock, load" = admits(ClockAndLoad::default());
    "clock, exchange" = admits(ClockAndExchange::default());
    "clock, 3 exchanges" = admits(ClockAndThree::default());
    "own word, exchange" = admits(OwnWord::new(true));
    "key of 1000, hash, clock, exchange" = known(KeyWords::among(THOUSAND), THOUSAND);
    "key of 10^6, hash, clock, exchange" = known(KeyWords::among(MILLION), MILLION);

    "TokenBucket admits" / "clock, exchange" = admits(TokenBucket::new(plenty()));
    "TokenBucket refuses" / "clock, load" = refuses(exhausted(hourly()));
    "TokenBucket acquire(1).await, ready" / "clock, exchange" =
        admits(asked(TokenBucket::new(plenty()), |bucket| at_once(bucket.acquire(1))));
    "ShardedTokenBucket admits" / "own word, exchange" = admits(ShardedTokenBucket::new(plenty()));
    // A burst of 1 000, so that leases exist before it is used up.
    "ShardedTokenBucket refuses" / "clock, load" =
        refuses(exhausted(ShardedTokenBucket::new(Quota::per_hour(1).burst(1_000))));
    "SlidingWindow admits" / "clock, exchange" = admits(window(64));
    "SlidingWindow refuses, just used up" / "clock, load" =
        refuses(exhausted(SlidingWindow::new(1_000, HOUR).expect("in range")));
    "SlidingWindow refuses, used up before" / "clock, load" = refuses(used_up_before(64));
    "SlidingWindow refuses, steady traffic" / "clock, load" = refuses(evenly_used_window(64));
    "Combined of 3 admits" / "clock, 3 exchanges" = admits(combined());
    // The limit of tokens is only read.
    "ApiRateLimiter admits" / "clock, 3 exchanges" = admits(api(HIGH));
    "ApiRateLimiter refuses" / "clock, load" = refuses(exhausted(api(50)));
    "Keyed, key of 1000" / "key of 1000, hash, clock, exchange" =
        known(keyed(KeyLimit::PLENTY), THOUSAND);
    "FixedKeyed, key of 1000" / "key of 1000, hash, clock, exchange" =
        known(fixed(KeyLimit::PLENTY, THOUSAND), THOUSAND);
    "Keyed, key of 10^6" / "key of 10^6, hash, clock, exchange" =
        known(keyed(KeyLimit::PLENTY), MILLION);
    "FixedKeyed, key of 10^6" / "key of 10^6, hash, clock, exchange" =
        known(fixed(KeyLimit::PLENTY, MILLION), MILLION);
};

fn admits(gate: impl Gate + 'static) -> Calls {
    assert!(gate.admit());
    calls(gate, true)
}

fn refuses(gate: impl Gate + 'static) -> Calls {
    assert!(!gate.admit());
    calls(gate, false)
}

/// Polls a future that is ready at once.
#[inline(always)]
fn at_once<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("permits are there"),
    }
}

/// Calls a limiter with known keys in use, and continues where the last slice ended.
fn known(gate: impl KeyedGate<String> + 'static, keys: usize) -> Calls {
    static FEW: LazyLock<Visits> = LazyLock::new(|| Visits::uniform(THOUSAND));
    static MANY: LazyLock<Visits> = LazyLock::new(|| Visits::uniform(MILLION));
    let visits = if keys == THOUSAND { &*FEW } else { &*MANY };
    let mut key = name(0);
    for number in 0..keys as u64 {
        rename(&mut key, number);
        assert!(gate.spend(&key, KeyLimit::HOUR));
    }
    let mut next = 0;
    Box::new(move |calls| {
        let keys = (next..next + calls).map(|call| visits.key(call));
        let admitted = keys.filter(|key| gate.admit(key)).count();
        assert_eq!(admitted, calls, "refused calls");
        next += calls;
    })
}

#[cfg(test)]
mod tests {
    use super::ROWS;

    #[test]
    fn each_path_has_a_floor_that_is_no_path() {
        for row in ROWS {
            let Some(floor) = row.floor else { continue };
            let found = ROWS.iter().find(|other| other.name == floor);
            assert!(found.is_some_and(|found| found.floor.is_none()), "{floor}");
        }
    }
}
