//! The limiters at which calls wait.

use std::future::Future;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tidegate::{
    ApiRateLimiter, Combined, Denied, Quota, RateLimitConfig, RateLimitStatus, ShardedTokenBucket,
    SlidingWindow, TokenBucket,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::gate::Decision;
use crate::rivals::{Limit, leaky_bucket as leaky};
use crate::suite::report::Report;
use crate::{HIGH, HOUR};

/// A rate per second, and how many permits are there at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) rate: u64,
    pub(super) burst: u64,
}

impl Flow {
    /// More at once than a measurement uses up.
    pub(super) const PLENTY: Self = Self {
        rate: 1_000,
        burst: HIGH,
    };

    pub(super) const fn new(rate: u64, burst: u64) -> Self {
        Self { rate, burst }
    }

    pub(super) fn interval(self) -> Duration {
        Duration::from_secs(1) / self.limit().rate32()
    }

    fn quota(self) -> Quota {
        Quota::per_second(self.rate).burst(self.burst)
    }

    fn limit(self) -> Limit {
        Limit {
            rate: self.rate,
            period: Duration::from_secs(1),
            burst: self.burst,
        }
    }
}

/// A limiter at which a call waits for one permit.
pub(super) trait Turns: Send + Sync + 'static {
    type Decision: Decision + Send;

    fn turn(&self) -> impl Future<Output = Self::Decision> + Send;
}

/// Implements [`Turns`] for limiters.
macro_rules! turns {
    ($($limiter:ty => $decision:ty, |$it:ident| $turn:expr;)*) => {$(
        impl Turns for $limiter {
            type Decision = $decision;

            #[inline(always)]
            fn turn(&self) -> impl Future<Output = $decision> + Send {
                let $it = self;
                $turn
            }
        }
    )*};
}

turns! {
    TokenBucket => Result<(), Denied>, |it| it.acquire(1);
    ShardedTokenBucket => Result<(), Denied>, |it| it.acquire(1);
    SlidingWindow => Result<(), Denied>, |it| it.acquire(1);
    Combined => Result<(), Denied>, |it| it.acquire(1);
    ApiRateLimiter => RateLimitStatus, |it| it.acquire();
    governor::DefaultDirectRateLimiter => (), |it| it.until_ready();
    leaky_bucket::RateLimiter => (), |it| it.acquire_one();
    RefilledSemaphore => (), |it| it.take();
}

/// A semaphore, and a task that adds a permit per interval unless `burst` are there.
pub(super) struct RefilledSemaphore {
    permits: Arc<Semaphore>,
    refill: JoinHandle<()>,
}

impl RefilledSemaphore {
    fn new(flow: Flow) -> Self {
        let burst = usize::try_from(flow.burst).expect("in range");
        let permits = Arc::new(Semaphore::new(burst));
        let refilled = Arc::clone(&permits);
        let refill = tokio::spawn(async move {
            let mut interval = tokio::time::interval(flow.interval());
            interval.tick().await; // at once
            loop {
                interval.tick().await;
                if refilled.available_permits() < burst {
                    refilled.add_permits(1);
                }
            }
        });
        Self { permits, refill }
    }

    async fn take(&self) {
        self.permits.acquire().await.expect("not closed").forget();
    }
}

impl Drop for RefilledSemaphore {
    fn drop(&mut self) {
        self.refill.abort();
    }
}

/// A row of the tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    setup: &'static str,
    capacity: fn(Flow) -> u64,
}

impl Row {
    /// How many permits are there at once.
    pub(super) fn capacity(&self, flow: Flow) -> usize {
        usize::try_from((self.capacity)(flow)).expect("in range")
    }
}

/// The work on each limiter. `make` needs the context of a runtime.
pub(super) trait WaitVisitor {
    fn visit<W: Turns>(&mut self, row: &Row, make: impl Fn(Flow) -> W);
}

/// A window has no burst below its limit, so it lasts a tenth of a second.
fn in_window(flow: Flow) -> u64 {
    flow.burst.max(flow.rate / 10)
}

pub(super) fn for_each(visitor: &mut impl WaitVisitor) {
    tidegate(visitor);
    others(visitor);
}

fn tidegate(visitor: &mut impl WaitVisitor) {
    let row = |name, setup, capacity| Row {
        name,
        setup,
        capacity,
    };
    let burst = |flow: Flow| flow.burst;
    visitor.visit(
        &row("tidegate TokenBucket", "`acquire(1)`", burst),
        |flow| TokenBucket::new(flow.quota()),
    );
    visitor.visit(
        &row("tidegate ShardedTokenBucket", "`acquire(1)`", burst),
        |flow| ShardedTokenBucket::new(flow.quota()),
    );
    visitor.visit(
        &row(
            "tidegate SlidingWindow",
            "`acquire(1)`; a tenth of the rate per 100 ms, in 64 slots",
            in_window,
        ),
        |flow| {
            let limit = in_window(flow);
            let length = flow.interval() * u32::try_from(limit).expect("in range");
            SlidingWindow::new(limit, length).expect("in range")
        },
    );
    visitor.visit(
        &row(
            "tidegate Combined",
            "`acquire(1)`; a bucket, and a window of an hour that is never full",
            burst,
        ),
        |flow| {
            Combined::builder()
                .limit("second", TokenBucket::new(flow.quota()))
                .limit("hour", SlidingWindow::new(HIGH, HOUR).expect("in range"))
                .build()
        },
    );
    visitor.visit(
        &row(
            "tidegate ApiRateLimiter",
            "`acquire()`; the rate per minute, the burst, an hour and tokens that are never used \
             up",
            burst,
        ),
        |flow| {
            let config = RateLimitConfig {
                requests_per_minute: flow.burst.max(60 * flow.rate),
                requests_per_hour: HIGH,
                tokens_per_minute: HIGH,
                burst_size: flow.burst,
                ..RateLimitConfig::DEFAULT
            };
            ApiRateLimiter::new(config).expect("in range")
        },
    );
}

fn others(visitor: &mut impl WaitVisitor) {
    let governor = Row {
        name: "governor",
        setup: "`until_ready()`, without jitter, on futures-timer",
        capacity: |flow| flow.burst,
    };
    visitor.visit(&governor, |flow| {
        let at_least_one = |number: u32| NonZeroU32::new(number).expect("not zero");
        let rate = at_least_one(flow.limit().rate32());
        let burst = at_least_one(flow.limit().burst32());
        governor::RateLimiter::direct(governor::Quota::per_second(rate).allow_burst(burst))
    });
    let leaky_bucket = Row {
        name: "leaky-bucket",
        setup: "`acquire_one()`, fair (its default); the shortest exact interval in ms, and a \
                refill has to fit: at 10 000 per second, 10 per ms",
        capacity: |flow| flow.burst.max(leaky::refill(flow.limit())),
    };
    visitor.visit(&leaky_bucket, |flow| leaky::limiter(flow.limit()));
    let semaphore = Row {
        name: "tokio Semaphore",
        setup: "`acquire()`, and the permit forgotten; a task adds one per tick of an `interval`, \
                unless the burst is there",
        capacity: |flow| flow.burst,
    };
    visitor.visit(&semaphore, RefilledSemaphore::new);
}

/// Writes the configurations.
pub(super) fn write(report: &Report) -> io::Result<()> {
    let mut listed = Listed(Vec::new());
    for_each(&mut listed);
    report.table(
        "waits_limiters",
        "Limiters",
        "governor 0.10.4, leaky-bucket 1.1.2, and tokio of the lock file with its `test-util`, \
         which adds a load to each reading of its clock. All but governor sleep on tokio's timer, \
         which counts milliseconds.",
        "limiter,set up with",
        listed.0,
    )
}

struct Listed(Vec<Vec<String>>);

impl WaitVisitor for Listed {
    fn visit<W: Turns>(&mut self, row: &Row, _make: impl Fn(Flow) -> W) {
        self.0.push(vec![row.name.to_owned(), row.setup.to_owned()]);
    }
}
