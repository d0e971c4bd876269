//! Lists the hot paths.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tidegate::layer::{HeaderStyle, PerKey, RequestHead, Reset};
use tidegate::{Clock, DefaultClock, IpKey, Limiter, Quota, Timestamp, TokenBucket};

use crate::setup::{
    HIGH, HOUR, KEYS, MANY, MINUTES, PLENTY, Ticks, admitted, api, at_once, brief_window, bucket,
    bucket_of, combined, each, empty_api, empty_bucket, empty_combined, empty_sharded,
    empty_window, evenly_used_window, fixed, indebted_bucket, keyed, name_of, names, never,
    refused, requests, requests_with, settled, sharded, window,
};

/// A name, and a function that makes a limiter and calls it.
pub type Path = (&'static str, fn(u64));

/// Lists paths, each as `name: outcome limiter => |limiter, number of the call| call`.
macro_rules! paths {
    ($($name:literal: $expect:ident $limiter:expr
        => |$it:ident $(, $number:ident)?| $call:expr;)*) => {
        &[$(($name, |calls| {
            let limiter = $limiter;
            $expect(calls, |_number| {
                $(let $number = _number;)?
                let $it = black_box(&limiter);
                $call
            });
        })),*]
    };
}

pub const PATHS: &[Path] = paths! {
    // Every path includes these: the loop, and the clock of this program.
    "loop and clock alone": each Ticks => |ticks| ticks.now();
    // The clock of users, on machines whose kernel trusts the TSC.
    "default clock": each () => |_none| DefaultClock.now();
    "default clock: bucket admit": admitted TokenBucket::new(PLENTY) =>
        |bucket| bucket.try_acquire(1).is_ok();

    "bucket admit": admitted bucket() => |bucket| bucket.try_acquire(1).is_ok();
    "bucket admit, full": admitted bucket_of(Quota::per_second(1_000_000_000)) =>
        |bucket| bucket.try_acquire(1).is_ok();
    "bucket admit, rounded": admitted bucket_of(Quota::per_second(1_009).burst(u32::MAX as u64)) =>
        |bucket| bucket.try_acquire(1).is_ok();
    "bucket admit_at": admitted bucket() =>
        |bucket, nanos| bucket.try_acquire_at(1, Timestamp::from_nanos(nanos)).is_ok();
    "bucket admit, up to": admitted bucket() => |bucket| bucket.try_acquire_up_to(1) == 1;
    "bucket refuse": refused empty_bucket() => |bucket| bucket.try_acquire(1).is_ok();
    "bucket refuse, hint read": refused empty_bucket() =>
        |bucket| black_box(bucket.try_acquire(1)).is_ok();
    "bucket peek": admitted bucket() => |bucket| bucket.peek(1).is_ok();
    "bucket available": each bucket() => |bucket| bucket.available();
    "bucket debit": each bucket() => |bucket| bucket.debit(1);
    "bucket credit": each indebted_bucket() => |bucket| bucket.credit(1);
    "bucket reserve, ready": admitted bucket() =>
        |bucket| settled(bucket.reserve(1, Duration::ZERO));
    "bucket reserve, ahead": admitted empty_bucket() =>
        |bucket| settled(bucket.reserve(1, Duration::MAX));
    "bucket reserve, cancel": admitted bucket() => |bucket| {
        let reserved = bucket.reserve(1, Duration::ZERO);
        reserved.map(black_box).is_ok_and(|reserved| reserved.cancel() == 1)
    };
    "bucket acquire, ready": admitted bucket() =>
        |bucket| at_once(bucket.acquire(1).timer(never)).is_ok();

    "sharded admit": admitted sharded(PLENTY) => |bucket| bucket.try_acquire(1).is_ok();
    "sharded refuse": refused empty_sharded() => |bucket| bucket.try_acquire(1).is_ok();

    "window admit, 64 slots": admitted window(HIGH, HOUR).slots(64) =>
        |window| window.try_acquire(1).is_ok();
    "window admit, 1024 slots": admitted window(HIGH, HOUR).slots(1_024) =>
        |window| window.try_acquire(1).is_ok();
    // The clock moves to the next slot with each call.
    "window admit, each in a new slot": admitted brief_window() =>
        |window| window.try_acquire(1).is_ok();
    "window refuse": refused empty_window() => |window| window.try_acquire(1).is_ok();
    // Used up by steady traffic, so that each slot holds a part.
    "window refuse, evenly used up": refused evenly_used_window() =>
        |window| window.try_acquire_at(1, Timestamp::ZERO + HOUR).is_ok();
    "window peek": admitted window(HIGH, HOUR) => |window| window.peek(1).is_ok();
    "window available": each window(HIGH, HOUR) => |window| window.available();
    "window acquire, ready": admitted window(HIGH, HOUR) =>
        |window| at_once(window.acquire(1).timer(never)).is_ok();

    "combined of 3 admit": admitted combined(HIGH) => |combined| combined.try_acquire(1).is_ok();
    "combined of 3 refuse": refused empty_combined() => |combined| combined.try_acquire(1).is_ok();
    "combined of 3 peek": admitted combined(HIGH) => |combined| combined.peek(1).is_ok();
    "combined of 3 available": each combined(HIGH) => |combined| combined.available();
    "combined of 3 acquire, ready": admitted combined(HIGH) =>
        |combined| at_once(combined.acquire(1).timer(never)).is_ok();

    // `is_limited` is false for an admission.
    "api admit": refused api(HIGH) => |api| api.try_acquire().is_limited;
    "api admit, no status": admitted api(HIGH) =>
        |api| Limiter::try_acquire_at(api, 1, api.clock().now()).is_ok();
    "api refuse": admitted empty_api() => |api| black_box(api.try_acquire()).is_limited;
    "api refuse, minutes later": admitted empty_api() =>
        |api| black_box(api.try_acquire_at(api.clock().now() + MINUTES)).is_limited;
    "api refuse, no status": refused empty_api() =>
        |api| Limiter::try_acquire_at(api, 1, api.clock().now()).is_ok();
    "api record tokens": each api(HIGH) => |api| api.record_tokens(1);
    "api reserve tokens, settle": admitted api(HIGH) => |api| {
        api.reserve_tokens(2).is_ok_and(|mut permit| {
            permit.commit();
            permit.settle(1);
            true
        })
    };
    "api acquire, ready": refused api(HIGH) => |api| at_once(api.acquire().timer(never)).is_limited;

    "keyed insert": admitted keyed::<u64>(1) => |keyed, key| keyed.try_acquire(&key, 1).is_ok();
    "fixed keyed insert": admitted fixed(1, 65_536) =>
        |fixed, key| fixed.try_acquire(&key, 1).is_ok();
};

/// Lists paths with known keys. Every key has spent permits before.
macro_rules! known {
    ($($name:literal: $expect:ident $table:expr, spent $spent:literal
        => |$it:ident, $key:ident| $call:expr;)*) => {
        &[$(($name, |calls| {
            let (table, names) = ($table, names());
            let spend = |key| table.try_acquire(name_of(&names, key), $spent).is_ok();
            admitted(KEYS, spend);
            $expect(calls, |call| {
                let ($it, $key) = (black_box(&table), name_of(&names, call));
                $call
            });
        })),*]
    };
}

pub const KNOWN_KEYS: &[Path] = known! {
    "keyed admit": admitted keyed::<String>(MANY), spent 10 =>
        |keyed, key| keyed.try_acquire(key, 1).is_ok();
    "keyed refuse": refused keyed::<String>(1), spent 1 =>
        |keyed, key| keyed.try_acquire(key, 1).is_ok();
    "keyed available": each keyed::<String>(MANY), spent 10 => |keyed, key| keyed.available(key);
    "fixed keyed admit": admitted fixed(MANY, 8_192), spent 10 =>
        |fixed, key| fixed.try_acquire(key, 1).is_ok();
    "fixed keyed refuse": refused fixed(1, 8_192), spent 1 =>
        |fixed, key| fixed.try_acquire(key, 1).is_ok();
    "fixed keyed available": each fixed(MANY, 8_192), spent 10 => |fixed, key| fixed.available(key);
};

pub const LAYERS: &[Path] = &[
    ("layer admit", |calls| requests(true, calls, bucket())),
    ("layer admit, fields", |calls| {
        requests_with(HeaderStyle::Draft11, true, calls, bucket());
    }),
    ("layer admit, X fields", |calls| {
        requests_with(X_FIELDS, true, calls, bucket());
    }),
    ("layer refuse", |calls| {
        requests(false, calls, empty_bucket());
    }),
    ("layer admit, per key", |calls| {
        let address = |_: &RequestHead<'_>| Some(one_address());
        requests(true, calls, PerKey::new(fixed(MANY, 8_192), address));
    }),
    ("layer admit, per key, fields", |calls| {
        let address = |_: &RequestHead<'_>| Some(one_address());
        let gate = PerKey::new(fixed(MANY, 8_192), address);
        requests_with(HeaderStyle::Draft11, true, calls, gate);
    }),
    ("layer refuse, per key", |calls| {
        let address = |_: &RequestHead<'_>| Some(one_address());
        let fixed = fixed(1, 8_192);
        admitted(1, |_| fixed.try_acquire(&one_address(), 1).is_ok());
        requests(false, calls, PerKey::new(fixed, address));
    }),
];

const X_FIELDS: HeaderStyle = HeaderStyle::LegacyX {
    reset: Reset::Delta,
};

fn one_address() -> IpKey {
    IpKey::from(black_box(IpAddr::V4(Ipv4Addr::LOCALHOST)))
}
