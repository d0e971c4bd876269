//! Adapts one clock to all crates.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use clock_lib::{Monotonic, Wall};
use governor::clock::Reference as _;
use governor::nanos::Nanos;
use tidegate::{Clock, Timestamp};

/// A clock of tidegate, for the other crates.
#[derive(Clone, Debug)]
pub struct SharedClock<C>(pub C);

/// The instants of clock-lib and std are opaque, so they are an origin and the time since it.
static ORIGIN: LazyLock<(Monotonic, Instant)> = LazyLock::new(|| {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no other way to make an Instant"
    )]
    let instant = Instant::now();
    (Monotonic::now(), instant)
});

impl<C: Clock> SharedClock<C> {
    #[inline(always)]
    fn nanos(&self) -> u64 {
        self.0.now().as_nanos()
    }

    #[inline(always)]
    pub fn instant(&self) -> Instant {
        ORIGIN.1 + Duration::from_nanos(self.nanos())
    }
}

impl<C: Clock> governor::clock::Clock for SharedClock<C> {
    type Instant = Nanos;

    #[inline(always)]
    fn now(&self) -> Nanos {
        self.nanos().into()
    }
}

impl<C: Clock> ratelimit::Clock for SharedClock<C> {
    #[inline(always)]
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }
}

impl<C: Clock + Send + Sync> clock_lib::Clock for SharedClock<C> {
    #[inline(always)]
    fn now(&self) -> Monotonic {
        ORIGIN.0.saturating_add(Duration::from_nanos(self.nanos()))
    }

    fn wall(&self) -> Wall {
        Wall::now()
    }
}

/// governor's own clock, for tidegate. It calibrates the counter itself, so its second differs.
#[derive(Clone, Debug)]
pub struct QuantaClock {
    clock: governor::clock::DefaultClock,
    origin: governor::clock::QuantaInstant,
}

impl Default for QuantaClock {
    fn default() -> Self {
        let clock = governor::clock::DefaultClock::default();
        let origin = governor::clock::Clock::now(&clock);
        Self { clock, origin }
    }
}

impl Clock for QuantaClock {
    #[inline(always)]
    fn now(&self) -> Timestamp {
        let now = governor::clock::Clock::now(&self.clock);
        Timestamp::from_nanos(now.duration_since(self.origin).as_u64())
    }
}
