//! The hot paths.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tidegate::tower::{PerKey, RequestHead};
use tidegate::{
    Clock, DefaultClock, IpKey, Limiter, Quota, ShardedTokenBucket, Timestamp, TokenBucket,
};

use crate::setup::{
    HIGH, HOUR, KEYS, MANY, Ticks, all, api, at_once, bucket, combined, each, empty_api,
    empty_bucket, empty_window, evenly_used_window, fixed, keyed, name_of, names, never, requests,
    window,
};

/// A path: its name, and what makes a limiter and calls it.
type Path = (&'static str, fn(u64));

pub const PATHS: &[Path] = &[
    // What every path costs by itself: the loop, and the clock of this program.
    ("loop and clock alone", |calls| {
        each(calls, |_| black_box(&Ticks).now());
    }),
    // What users have instead of this program's clock: on machines whose kernel trusts the TSC.
    ("default clock", |calls| each(calls, |_| DefaultClock.now())),
    ("default clock: bucket admit", |calls| {
        let bucket = TokenBucket::new(Quota::per_second(1_000).burst(u32::MAX.into()));
        all(true, calls, |_| black_box(&bucket).try_acquire(1).is_ok());
    }),
    ("bucket admit", |calls| {
        let bucket = bucket();
        all(true, calls, |_| black_box(&bucket).try_acquire(1).is_ok());
    }),
    ("bucket admit, full", |calls| {
        let bucket = TokenBucket::with_clock(Quota::per_second(1_000_000_000), Ticks);
        all(true, calls, |_| black_box(&bucket).try_acquire(1).is_ok());
    }),
    ("bucket admit, rounded", |calls| {
        let quota = Quota::per_second(1_009).burst(u32::MAX.into());
        let bucket = TokenBucket::with_clock(quota, Ticks);
        all(true, calls, |_| black_box(&bucket).try_acquire(1).is_ok());
    }),
    ("bucket admit_at", |calls| {
        let bucket = bucket();
        all(true, calls, |number| {
            let now = Timestamp::from_nanos(number);
            black_box(&bucket).try_acquire_at(1, now).is_ok()
        });
    }),
    ("bucket admit, up to", |calls| {
        let bucket = bucket();
        all(true, calls, |_| {
            black_box(&bucket).try_acquire_up_to(1) == 1
        });
    }),
    ("bucket refuse", |calls| {
        let bucket = empty_bucket();
        all(false, calls, |_| black_box(&bucket).try_acquire(1).is_ok());
    }),
    ("bucket refuse, hint read", |calls| {
        let bucket = empty_bucket();
        all(false, calls, |_| {
            black_box(black_box(&bucket).try_acquire(1)).is_ok()
        });
    }),
    ("bucket peek", |calls| {
        let bucket = bucket();
        all(true, calls, |_| black_box(&bucket).peek(1).is_ok());
    }),
    ("bucket available", |calls| {
        let bucket = bucket();
        each(calls, |_| black_box(&bucket).available());
    }),
    ("bucket debit", |calls| {
        let bucket = bucket();
        each(calls, |_| black_box(&bucket).debit(1));
    }),
    ("bucket credit", |calls| {
        let bucket = bucket();
        bucket.debit(HIGH);
        each(calls, |_| black_box(&bucket).credit(1));
    }),
    ("bucket reserve, ready", |calls| {
        let bucket = bucket();
        all(true, calls, |_| {
            let reserved = black_box(&bucket).reserve(1, Duration::ZERO);
            reserved.map(black_box).is_ok_and(|reserved| {
                reserved.commit();
                true
            })
        });
    }),
    ("bucket reserve, ahead", |calls| {
        let bucket = empty_bucket();
        all(true, calls, |_| {
            let reserved = black_box(&bucket).reserve(1, Duration::MAX);
            reserved.map(black_box).is_ok_and(|reserved| {
                reserved.commit();
                true
            })
        });
    }),
    ("bucket reserve, cancel", |calls| {
        let bucket = bucket();
        all(true, calls, |_| {
            let reserved = black_box(&bucket).reserve(1, Duration::ZERO);
            reserved
                .map(black_box)
                .is_ok_and(|reserved| reserved.cancel() == 1)
        });
    }),
    ("bucket acquire, ready", |calls| {
        let bucket = bucket();
        all(true, calls, |_| {
            at_once(black_box(&bucket).acquire_with(never, 1)).is_ok()
        });
    }),
    ("sharded admit", |calls| {
        let quota = Quota::per_second(1_000).burst(u32::MAX.into());
        let bucket = ShardedTokenBucket::with_shards(quota, Ticks, 8);
        all(true, calls, |_| black_box(&bucket).try_acquire(1).is_ok());
    }),
    ("sharded refuse", |calls| {
        let bucket = ShardedTokenBucket::with_shards(Quota::per_hour(1).burst(1_000), Ticks, 8);
        while bucket.try_acquire(1).is_ok() {}
        all(false, calls, |_| black_box(&bucket).try_acquire(1).is_ok());
    }),
    ("window admit, 64 slots", |calls| {
        let window = window(HIGH, HOUR).slots(64);
        all(true, calls, |_| black_box(&window).try_acquire(1).is_ok());
    }),
    ("window admit, 1024 slots", |calls| {
        let window = window(HIGH, HOUR).slots(1_024);
        all(true, calls, |_| black_box(&window).try_acquire(1).is_ok());
    }),
    // The clock moves by a microsecond with each call.
    ("window admit, each in a new slot", |calls| {
        let window = window(1_000, Duration::from_micros(64)).slots(64);
        all(true, calls, |_| black_box(&window).try_acquire(1).is_ok());
    }),
    ("window refuse", |calls| {
        let window = empty_window();
        all(false, calls, |_| black_box(&window).try_acquire(1).is_ok());
    }),
    // By steady traffic, of which each slot holds a part.
    ("window refuse, evenly used up", |calls| {
        let (window, end) = evenly_used_window();
        all(false, calls, |_| {
            black_box(&window).try_acquire_at(1, end).is_ok()
        });
    }),
    ("window peek", |calls| {
        let window = window(HIGH, HOUR);
        all(true, calls, |_| black_box(&window).peek(1).is_ok());
    }),
    ("window available", |calls| {
        let window = window(HIGH, HOUR);
        each(calls, |_| black_box(&window).available());
    }),
    ("window acquire, ready", |calls| {
        let window = window(HIGH, HOUR);
        all(true, calls, |_| {
            at_once(black_box(&window).acquire_with(never, 1)).is_ok()
        });
    }),
    ("combined of 3 admit", |calls| {
        let combined = combined(HIGH);
        all(true, calls, |_| black_box(&combined).try_acquire(1).is_ok());
    }),
    ("combined of 3 refuse", |calls| {
        let combined = combined(1);
        all(true, 1, |_| combined.try_acquire(1).is_ok());
        all(false, calls, |_| {
            black_box(&combined).try_acquire(1).is_ok()
        });
    }),
    ("combined of 3 peek", |calls| {
        let combined = combined(HIGH);
        all(true, calls, |_| black_box(&combined).peek(1).is_ok());
    }),
    ("combined of 3 available", |calls| {
        let combined = combined(HIGH);
        each(calls, |_| black_box(&combined).available());
    }),
    ("combined of 3 acquire, ready", |calls| {
        let combined = combined(HIGH);
        all(true, calls, |_| {
            at_once(black_box(&combined).acquire_with(never, 1)).is_ok()
        });
    }),
    ("api admit", |calls| {
        let api = api(HIGH);
        all(false, calls, |_| black_box(&api).try_acquire().is_limited);
    }),
    ("api admit, no status", |calls| {
        let api = api(HIGH);
        all(true, calls, |_| {
            let api = black_box(&api);
            Limiter::try_acquire_at(api, 1, api.clock().now()).is_ok()
        });
    }),
    ("api refuse", |calls| {
        let api = empty_api();
        all(true, calls, |_| {
            black_box(black_box(&api).try_acquire()).is_limited
        });
    }),
    ("api refuse, no status", |calls| {
        let api = empty_api();
        all(false, calls, |_| {
            let api = black_box(&api);
            Limiter::try_acquire_at(api, 1, api.clock().now()).is_ok()
        });
    }),
    ("api record tokens", |calls| {
        let api = api(HIGH);
        each(calls, |_| black_box(&api).record_tokens(1));
    }),
    ("api reserve tokens, settle", |calls| {
        let api = api(HIGH);
        all(true, calls, |_| {
            let permit = black_box(&api).reserve_tokens(2);
            permit.is_ok_and(|mut permit| {
                permit.commit();
                permit.settle(1);
                true
            })
        });
    }),
    ("api acquire, ready", |calls| {
        let api = api(HIGH);
        all(false, calls, |_| {
            at_once(black_box(&api).acquire_with(never)).is_limited
        });
    }),
    ("keyed admit", |calls| {
        let (keyed, names) = (keyed::<String>(MANY), names());
        all(true, KEYS, |key| {
            keyed.try_acquire(name_of(&names, key), 10).is_ok()
        });
        all(true, calls, |call| {
            black_box(&keyed)
                .try_acquire(name_of(&names, call), 1)
                .is_ok()
        });
    }),
    ("keyed refuse", |calls| {
        let (keyed, names) = (keyed::<String>(1), names());
        all(true, KEYS, |key| {
            keyed.try_acquire(name_of(&names, key), 1).is_ok()
        });
        all(false, calls, |call| {
            black_box(&keyed)
                .try_acquire(name_of(&names, call), 1)
                .is_ok()
        });
    }),
    ("keyed available", |calls| {
        let (keyed, names) = (keyed::<String>(MANY), names());
        all(true, KEYS, |key| {
            keyed.try_acquire(name_of(&names, key), 10).is_ok()
        });
        each(calls, |call| {
            black_box(&keyed).available(name_of(&names, call))
        });
    }),
    ("keyed insert", |calls| {
        let keyed = keyed::<u64>(1);
        all(true, calls, |key| {
            black_box(&keyed).try_acquire(&key, 1).is_ok()
        });
    }),
    ("fixed keyed admit", |calls| {
        let (fixed, names) = (fixed(MANY, 8_192), names());
        all(true, KEYS, |key| {
            fixed.try_acquire(name_of(&names, key), 10).is_ok()
        });
        all(true, calls, |call| {
            black_box(&fixed)
                .try_acquire(name_of(&names, call), 1)
                .is_ok()
        });
    }),
    ("fixed keyed refuse", |calls| {
        let (fixed, names) = (fixed(1, 8_192), names());
        all(true, KEYS, |key| {
            fixed.try_acquire(name_of(&names, key), 1).is_ok()
        });
        all(false, calls, |call| {
            black_box(&fixed)
                .try_acquire(name_of(&names, call), 1)
                .is_ok()
        });
    }),
    ("fixed keyed available", |calls| {
        let (fixed, names) = (fixed(MANY, 8_192), names());
        all(true, KEYS, |key| {
            fixed.try_acquire(name_of(&names, key), 10).is_ok()
        });
        each(calls, |call| {
            black_box(&fixed).available(name_of(&names, call))
        });
    }),
    ("fixed keyed insert", |calls| {
        let fixed = fixed(1, 65_536);
        all(true, calls, |key| {
            black_box(&fixed).try_acquire(&key, 1).is_ok()
        });
    }),
    ("layer admit", |calls| requests(true, calls, bucket())),
    ("layer refuse", |calls| {
        requests(false, calls, empty_bucket());
    }),
    ("layer admit, per key", |calls| {
        let address = |_: &RequestHead<'_>| Some(one_address());
        requests(true, calls, PerKey::new(fixed(MANY, 8_192), address));
    }),
    ("layer refuse, per key", |calls| {
        let address = |_: &RequestHead<'_>| Some(one_address());
        let fixed = fixed(1, 8_192);
        all(true, 1, |_| fixed.try_acquire(&one_address(), 1).is_ok());
        requests(false, calls, PerKey::new(fixed, address));
    }),
];

fn one_address() -> IpKey {
    IpKey::from(black_box(IpAddr::V4(Ipv4Addr::LOCALHOST)))
}
