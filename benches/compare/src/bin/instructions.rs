//! Makes `calls` calls on one path, so that callgrind can count their instructions.
//!
//! `instructions PATH CALLS` makes the calls, and `instructions` lists the paths.
//! `../instructions.sh` runs it with two numbers of calls: the difference in instructions, divided
//! by the difference in calls, is exact.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use tidegate::{Clock, DefaultClock, Quota, SlidingWindow, Timestamp, TokenBucket};
use tidegate_compare::gate::{hint_dropped, without_status};
use tidegate_compare::keyed::{
    GovernorHintRead, KeyLimit, KeyedGate, KeysAlone, Visits, fixed, governor_keyed, keyed,
    keyed_sip, name, rate_net, rename,
};
use tidegate_compare::{
    Gate, HIGH, HOUR, MutexApi, MutexBucket, MutexDeque, api, asked, combined, exhausted, governor,
    governor_hint_read, governor_hourly, governor_plenty, hourly, plenty, window,
};

/// A name, and a function that makes a limiter and calls it.
type Path = (&'static str, fn(u64));

/// Calls a limiter of one key.
macro_rules! calls {
    ($gate:expr) => {
        |calls| {
            let gate = $gate;
            for _ in 0..calls {
                gate.admit();
            }
        }
    };
}

/// Calls a limiter with a known key, and with a new key.
macro_rules! known {
    ($gate:expr, $limit:expr) => {
        |calls| drive_known(&$gate, $limit, calls)
    };
}
macro_rules! new {
    ($gate:expr) => {
        |calls| drive_new(&$gate, calls)
    };
}

const ONCE: KeyLimit = KeyLimit::ONCE;
const PLENTY: KeyLimit = KeyLimit::PLENTY;

const PATHS: &[Path] = &[
    ("clock", |calls| {
        for _ in 0..calls {
            black_box(DefaultClock.now());
        }
    }),
    ("bucket admit", calls!(TokenBucket::new(plenty()))),
    (
        "bucket admit, full",
        calls!(TokenBucket::new(Quota::per_second(1_000_000_000))),
    ),
    (
        "bucket admit, rounded",
        calls!(TokenBucket::new(
            Quota::per_second(1_009).burst(u64::from(u32::MAX))
        )),
    ),
    ("bucket admit_at", |calls| {
        let bucket = TokenBucket::new(plenty());
        for nanos in 0..calls {
            let now = Timestamp::from_nanos(nanos);
            let at = asked(&bucket, |bucket| bucket.try_acquire_at(1, now));
            at.admit();
        }
    }),
    ("bucket refuse", calls!(exhausted(hourly()))),
    (
        "bucket refuse, hint dropped",
        calls!(exhausted(hint_dropped(hourly()))),
    ),
    ("window admit, 64 slots", calls!(window(64))),
    ("window admit, 1024 slots", calls!(window(1_024))),
    (
        "window refuse, 64 slots",
        calls!(exhausted(
            SlidingWindow::new(1_000, HOUR).expect("in range")
        )),
    ),
    ("combined of 3 admit", calls!(combined())),
    ("api admit", calls!(api(HIGH))),
    ("api admit, no status", calls!(without_status(api(HIGH)))),
    (
        "api refuse, no status",
        calls!(without_status(exhausted(api(1_000)))),
    ),
    ("governor admit", calls!(governor(governor_plenty()))),
    (
        "governor refuse",
        calls!(exhausted(governor(governor_hourly()))),
    ),
    (
        "governor refuse, hint read",
        calls!(governor_hint_read(exhausted(governor(governor_hourly())))),
    ),
    (
        "mutex bucket admit",
        calls!(MutexBucket::new(1_000.0, f64::from(u32::MAX))),
    ),
    ("mutex AIOS design admit", calls!(MutexApi::new(HIGH))),
    (
        "mutex deque admit",
        calls!(MutexDeque::new(usize::MAX, Duration::ZERO)),
    ),
    // Every keyed admission and refusal includes this.
    ("keyed: keys alone", known!(KeysAlone, PLENTY)),
    ("keyed admit, 1000 keys", known!(keyed(PLENTY), PLENTY)),
    ("keyed admit, SipHash", known!(keyed_sip(PLENTY), PLENTY)),
    ("keyed refuse, 1000 keys", known!(keyed(ONCE), ONCE)),
    (
        "fixed keyed admit, 1000 keys",
        known!(fixed(PLENTY, 1_000), PLENTY),
    ),
    (
        "fixed keyed refuse, 1000 keys",
        known!(fixed(ONCE, 1_000), ONCE),
    ),
    (
        "governor keyed admit, 1000 keys",
        known!(governor_keyed(PLENTY), PLENTY),
    ),
    (
        "governor keyed refuse, 1000 keys",
        known!(governor_keyed(ONCE), ONCE),
    ),
    (
        "governor keyed refuse, hint read",
        known!(GovernorHintRead(governor_keyed(ONCE)), ONCE),
    ),
    (
        "rate-net keyed admit, 1000 keys",
        known!(rate_net(PLENTY, 2_000), PLENTY),
    ),
    // Every insertion includes this.
    ("keyed: new keys alone", new!(KeysAlone)),
    ("keyed insert", new!(keyed(ONCE))),
    ("fixed keyed insert", new!(fixed(ONCE, 200_000))),
    ("governor keyed insert", new!(governor_keyed(ONCE))),
];

/// Calls a limiter with 1 000 known keys. They are refused if `limit` is a single permit.
fn drive_known(gate: &impl KeyedGate<String>, limit: KeyLimit, calls: u64) {
    let visits = Visits::uniform(1_000);
    for number in 0..1_000 {
        gate.spend(&name(number), limit.burst.min(KeyLimit::HOUR));
    }
    assert_eq!(gate.admit(&name(0)), limit.burst > 1);
    for call in 0..calls as usize {
        gate.admit(visits.key(call));
    }
}

fn drive_new(gate: &impl KeyedGate<String>, calls: u64) {
    let mut key = name(0);
    for call in 0..calls {
        rename(&mut key, call);
        gate.admit(&key);
    }
}

/// The function whose instructions callgrind counts.
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
    // Both clocks loop until they are calibrated. Those instructions must not count.
    DefaultClock::calibrate();
    governor::clock::Clock::now(&governor::clock::DefaultClock::default());
    counted(*run, calls);
    ExitCode::SUCCESS
}
