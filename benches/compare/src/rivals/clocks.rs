//! One clock for all.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use clock_lib::{Monotonic, Wall};
use governor::clock::Reference as _;
use governor::nanos::Nanos;
use tidegate::{Clock, Timestamp};

/// A clock of tidegate as the other crates want it.
#[derive(Clone, Debug)]
pub struct Shared<C>(pub C);

impl<C: Clock> Shared<C> {
    #[inline(always)]
    fn nanos(&self) -> u64 {
        self.0.now().as_nanos()
    }
}

impl<C: Clock> governor::clock::Clock for Shared<C> {
    type Instant = Nanos;

    #[inline(always)]
    fn now(&self) -> Nanos {
        self.nanos().into()
    }
}

impl<C: Clock> ratelimit::Clock for Shared<C> {
    #[inline(always)]
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }
}

/// Their instants are opaque: an origin, and what has passed since.
static ORIGIN: LazyLock<(Monotonic, Instant)> = LazyLock::new(|| {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no other way to make an Instant"
    )]
    let instant = Instant::now();
    (Monotonic::now(), instant)
});

impl<C: Clock + Send + Sync> clock_lib::Clock for Shared<C> {
    #[inline(always)]
    fn now(&self) -> Monotonic {
        ORIGIN.0.saturating_add(Duration::from_nanos(self.nanos()))
    }

    fn wall(&self) -> Wall {
        Wall::now()
    }
}

/// governor's own clock, as ours: it calibrates the counter by itself, so its second is not quite the same.
#[derive(Clone, Debug)]
pub struct Quanta {
    clock: governor::clock::DefaultClock,
    origin: governor::clock::QuantaInstant,
}

impl Quanta {
    pub fn new() -> Self {
        let clock = governor::clock::DefaultClock::default();
        let origin = governor::clock::Clock::now(&clock);
        Self { clock, origin }
    }
}

impl Default for Quanta {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Quanta {
    #[inline(always)]
    fn now(&self) -> Timestamp {
        let now = governor::clock::Clock::now(&self.clock);
        Timestamp::from_nanos(now.duration_since(self.origin).as_u64())
    }
}

impl<C: Clock> Shared<C> {
    #[inline(always)]
    pub fn instant(&self) -> Instant {
        ORIGIN.1 + Duration::from_nanos(self.nanos())
    }
}
