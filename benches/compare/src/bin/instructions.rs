//! Makes `calls` calls on one path, so that callgrind can count their instructions.
//!
//! `instructions PATH CALLS` makes the calls, and `instructions` lists the paths.
//! `../instructions.sh` runs it with two numbers of calls: the difference in instructions, divided
//! by the difference in calls, is exact.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tidegate::{DefaultClock, Denied, Quota, SlidingWindow, Timestamp, TokenBucket};
use tidegate_compare::gate::{hint_dropped, without_status};
use tidegate_compare::keyed::{
    GovernorHintRead, KeyLimit, KeyedGate, KeysAlone, Visits, fixed, governor_keyed, keyed,
    keyed_sip, name, rate_net, rename,
};
use tidegate_compare::layers::{Answer, Served, ServiceVisitor, for_each_service, peer, request};
use tidegate_compare::parts::ClockAlone;
use tidegate_compare::{
    Gate, HIGH, HOUR, MutexApi, MutexBucket, MutexDeque, PLENTY, api, asked, combined, exhausted,
    governor, governor_hint_read, governor_hourly, governor_plenty, hourly, plenty, window,
};

/// A name, and a function that makes a limiter and calls it.
type Path = (&'static str, fn(u64));

/// Lists paths, each as `name: limiter` or `name: limiter, limit`, and the function that calls it.
macro_rules! paths {
    ($drive:ident; $($name:literal: $gate:expr $(, $limit:expr)?;)*) => {
        &[$(($name, |calls| $drive(&$gate, $($limit,)? calls))),*]
    };
}

const ONE_KEY: &[Path] = paths! { drive;
    "clock": ClockAlone;
    "bucket admit": TokenBucket::new(plenty());
    "bucket admit, full": TokenBucket::new(Quota::per_second(1_000_000_000));
    "bucket admit, rounded": TokenBucket::new(Quota::per_second(1_009).burst(PLENTY.into()));
    "bucket admit_at": asked((TokenBucket::new(plenty()), AtomicU64::new(0)), admit_at);
    "bucket refuse": exhausted(hourly());
    "bucket refuse, hint dropped": exhausted(hint_dropped(hourly()));
    "window admit, 64 slots": window(64);
    "window admit, 1024 slots": window(1_024);
    "window refuse, 64 slots": exhausted(SlidingWindow::new(1_000, HOUR).expect("in range"));
    "combined of 3 admit": combined();
    "api admit": api(HIGH);
    "api admit, no status": without_status(api(HIGH));
    "api refuse": exhausted(api(50));
    "api refuse, no status": without_status(exhausted(api(50)));
    "governor admit": governor(governor_plenty());
    "governor refuse": exhausted(governor(governor_hourly()));
    "governor refuse, hint read": governor_hint_read(exhausted(governor(governor_hourly())));
    "mutex bucket admit": MutexBucket::new(1_000.0, PLENTY.into());
    "mutex AIOS design admit": MutexApi::new(HIGH);
    "mutex deque admit": MutexDeque::new(usize::MAX, Duration::ZERO);
};

const ONCE: KeyLimit = KeyLimit::ONCE;
const OFTEN: KeyLimit = KeyLimit::PLENTY;

const KNOWN_KEYS: &[Path] = paths! { drive_known;
    // Every keyed admission and refusal includes this.
    "keyed: keys alone": KeysAlone, OFTEN;
    "keyed admit, 1000 keys": keyed(OFTEN), OFTEN;
    "keyed admit, SipHash": keyed_sip(OFTEN), OFTEN;
    "keyed refuse, 1000 keys": keyed(ONCE), ONCE;
    "fixed keyed admit, 1000 keys": fixed(OFTEN, 1_000), OFTEN;
    "fixed keyed refuse, 1000 keys": fixed(ONCE, 1_000), ONCE;
    "governor keyed admit, 1000 keys": governor_keyed(OFTEN), OFTEN;
    "governor keyed refuse, 1000 keys": governor_keyed(ONCE), ONCE;
    "governor keyed refuse, hint read": GovernorHintRead(governor_keyed(ONCE)), ONCE;
    "rate-net keyed admit, 1000 keys": rate_net(OFTEN, 2_000), OFTEN;
};

const NEW_KEYS: &[Path] = paths! { drive_new;
    // Every insertion includes this.
    "keyed: new keys alone": KeysAlone;
    "keyed insert": keyed(ONCE);
    "fixed keyed insert": fixed(ONCE, 200_000);
    "governor keyed insert": governor_keyed(ONCE);
};

fn all() -> impl Iterator<Item = &'static Path> {
    [ONE_KEY, KNOWN_KEYS, NEW_KEYS].into_iter().flatten()
}

/// Finds a layer by its name in the bench `layer`, and calls it; `None` lists the names.
struct Layers<'a> {
    called: Option<(&'a str, u64)>,
    found: bool,
}

impl ServiceVisitor for Layers<'_> {
    fn visit(&mut self, name: &str, service: &dyn Served) {
        let path = format!("layer: {name}");
        match self.called {
            None => println!("{path}"),
            Some((called, calls)) if called == path => {
                self.found = true;
                // Every client is known before, as in the bench after its warm-up.
                for client in 0..1_000 {
                    service.admits(request(peer(client)));
                }
                counted(|calls| drive_layer(service, calls), calls);
            }
            Some(_) => {}
        }
    }
}

/// Visits the layers that the bench calls for admitted requests.
fn layers(called: Option<(&str, u64)>) -> bool {
    let mut layers = Layers {
        called,
        found: false,
    };
    layers.visit("no layer", &Answer);
    for_each_service(1, u32::MAX / 2, &mut layers);
    layers.found
}

fn drive_layer(service: &dyn Served, calls: u64) {
    for call in 0..calls {
        service.admits(request(peer(call * 7)));
    }
}

/// Asks at the next nanosecond.
fn admit_at((bucket, nanos): &(TokenBucket, AtomicU64)) -> Result<(), Denied> {
    let now = nanos.load(Relaxed);
    nanos.store(now + 1, Relaxed);
    bucket.try_acquire_at(1, Timestamp::from_nanos(now))
}

fn drive(gate: &impl Gate, calls: u64) {
    for _ in 0..calls {
        gate.admit();
    }
}

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
fn counted(run: impl FnOnce(u64), calls: u64) {
    run(calls);
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        for (name, _) in all() {
            println!("{name}");
        }
        layers(None);
        return ExitCode::SUCCESS;
    };
    // Both clocks loop until they are calibrated. Those instructions must not count.
    DefaultClock::calibrate();
    governor::clock::Clock::now(&governor::clock::DefaultClock::default());
    let calls = arguments.next().and_then(|calls| calls.parse().ok());
    let path = all().find(|(known, _)| *known == name);
    match (path, calls) {
        (Some((_, run)), Some(calls)) => counted(*run, calls),
        (None, Some(calls)) if layers(Some((&name, calls))) => {}
        _ => {
            eprintln!("usage: instructions PATH CALLS");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
