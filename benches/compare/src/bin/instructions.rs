//! Makes `calls` calls on one path, for counting instructions: `instructions PATH CALLS`, or no arguments for the paths.
//!
//! Run it under callgrind with two numbers of calls; the difference divided by the difference in calls is exact
//! (`../instructions.sh` does).

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use tidegate::{Clock, DefaultClock, Quota, SlidingWindow, Timestamp, TokenBucket};
use tidegate_compare::keyed::{
    KeyedGate, KeysAlone, Limit, Visits, fixed, governor_keyed, keyed, keyed_sip, name, rate_net,
    rename,
};
use tidegate_compare::{
    Bare, Gate, HIGH, MutexApi, MutexDeque, PLENTY, api, bucket, combined, exhausted,
    exhausted_api, governor, mutex_bucket, window,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// A path: its name, and what makes it and calls it.
type Path = (&'static str, fn(u64));

const PATHS: &[Path] = &[
    ("clock", |calls| {
        for _ in 0..calls {
            black_box(DefaultClock.now());
        }
    }),
    ("bucket admit", |calls| drive(&bucket(PLENTY), calls)),
    ("bucket admit, full", |calls| {
        drive(&TokenBucket::new(Quota::per_second(1_000_000_000)), calls);
    }),
    ("bucket admit, rounded", |calls| {
        drive(
            &TokenBucket::new(Quota::per_second(1_009).burst(PLENTY.into())),
            calls,
        );
    }),
    ("bucket admit_at", |calls| {
        let bucket = bucket(PLENTY);
        for nanos in 0..calls {
            let _ = black_box(
                black_box(&bucket)
                    .try_acquire_at(1, Timestamp::from_nanos(nanos))
                    .is_ok(),
            );
        }
    }),
    ("bucket refuse", |calls| {
        drive(&exhausted(TokenBucket::new(Quota::per_hour(1))), calls);
    }),
    ("bucket refuse, hint read", |calls| {
        let bucket = exhausted(TokenBucket::new(Quota::per_hour(1)));
        for _ in 0..calls {
            let _ = black_box(black_box(&bucket).try_acquire(1));
        }
    }),
    ("window admit, 64 slots", |calls| drive(&window(64), calls)),
    ("window admit, 1024 slots", |calls| {
        drive(&window(1_024), calls)
    }),
    ("window refuse, 64 slots", |calls| {
        drive(
            &exhausted(SlidingWindow::new(1_000, HOUR).expect("fits")),
            calls,
        );
    }),
    ("combined of 3 admit", |calls| drive(&combined(), calls)),
    ("api admit", |calls| drive(&api(), calls)),
    ("api admit, no status", |calls| drive(&Bare(api()), calls)),
    ("api refuse, no status", |calls| {
        drive(&Bare(exhausted_api()), calls)
    }),
    ("governor admit", |calls| drive(&governor(PLENTY), calls)),
    ("governor refuse", |calls| {
        let per_hour = const { std::num::NonZeroU32::new(1).unwrap() };
        let gate = governor::RateLimiter::direct(governor::Quota::per_hour(per_hour));
        drive(&exhausted(gate), calls);
    }),
    ("mutex bucket admit", |calls| {
        drive(&mutex_bucket(PLENTY), calls)
    }),
    ("mutex AIOS design admit", |calls| {
        drive(&MutexApi::new(HIGH, HIGH, HIGH, HIGH), calls)
    }),
    ("mutex deque admit", |calls| {
        drive(&MutexDeque::new(usize::MAX, Duration::ZERO), calls)
    }),
    // In every keyed admission and refusal.
    ("keyed: keys alone", |calls| {
        drive_known(&KeysAlone, Limit::PLENTY, calls);
    }),
    ("keyed admit, 1000 keys", |calls| {
        drive_known(&keyed(Limit::PLENTY), Limit::PLENTY, calls);
    }),
    ("keyed admit, SipHash", |calls| {
        drive_known(&keyed_sip(Limit::PLENTY), Limit::PLENTY, calls);
    }),
    ("keyed refuse, 1000 keys", |calls| {
        drive_known(&keyed(Limit::ONCE), Limit::ONCE, calls);
    }),
    ("fixed keyed admit, 1000 keys", |calls| {
        drive_known(&fixed(Limit::PLENTY, 1_000), Limit::PLENTY, calls);
    }),
    ("fixed keyed refuse, 1000 keys", |calls| {
        drive_known(&fixed(Limit::ONCE, 1_000), Limit::ONCE, calls);
    }),
    ("governor keyed admit, 1000 keys", |calls| {
        drive_known(&governor_keyed(Limit::PLENTY), Limit::PLENTY, calls);
    }),
    ("governor keyed refuse, 1000 keys", |calls| {
        drive_known(&governor_keyed(Limit::ONCE), Limit::ONCE, calls);
    }),
    ("rate-net keyed admit, 1000 keys", |calls| {
        drive_known(&rate_net(Limit::PLENTY, 2_000), Limit::PLENTY, calls);
    }),
    // In every insertion.
    ("keyed: new keys alone", |calls| {
        drive_new(&KeysAlone, calls)
    }),
    ("keyed insert", |calls| {
        drive_new(&keyed(Limit::ONCE), calls)
    }),
    ("fixed keyed insert", |calls| {
        drive_new(&fixed(Limit::ONCE, 200_000), calls);
    }),
    ("governor keyed insert", |calls| {
        drive_new(&governor_keyed(Limit::ONCE), calls);
    }),
];

/// Calls of 1 000 known keys, which are refused if `limit` is a single permit.
fn drive_known(gate: &impl KeyedGate<String>, limit: Limit, calls: u64) {
    let visits = Visits::uniform(1_000);
    for number in 0..1_000 {
        gate.spend(&name(number), limit.burst.min(Limit::HOUR));
    }
    assert_eq!(gate.admit(&name(0)), limit.burst > 1);
    for call in 0..calls as usize {
        black_box(black_box(gate).admit(visits.key(call)));
    }
}

fn drive_new(gate: &impl KeyedGate<String>, calls: u64) {
    let mut key = name(0);
    for call in 0..calls {
        rename(&mut key, call);
        black_box(black_box(gate).admit(&key));
    }
}

fn drive(gate: &impl Gate, calls: u64) {
    for _ in 0..calls {
        black_box(black_box(gate).admit());
    }
}

/// What callgrind collects.
#[inline(never)]
fn counted(run: fn(u64), calls: u64) {
    run(calls);
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        for (name, _) in PATHS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let calls = arguments.next().and_then(|calls| calls.parse().ok());
    let path = PATHS.iter().find(|(known, _)| *known == name);
    let (Some((_, run)), Some(calls)) = (path, calls) else {
        eprintln!("usage: instructions PATH CALLS");
        return ExitCode::from(2);
    };
    // Loops until it is accurate, so its instructions must not be counted.
    DefaultClock::calibrate();
    governor::clock::Clock::now(&governor::clock::DefaultClock::default());
    counted(*run, calls);
    ExitCode::SUCCESS
}
