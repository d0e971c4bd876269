//! A combination against its limits, called one by one.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::{Combined, Denied, ManualClock, Quota, SlidingWindow, Timestamp, TokenBucket};

const SECOND: u64 = 1_000_000_000;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The parameters of a limit, which is built twice: for the combination and on its own.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Bucket { rate: u64, burst: u64 },
    Window { limit: u64, seconds: u64 },
}

fn any_shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        (1_u64..50, 1_u64..50).prop_map(|(rate, burst)| Shape::Bucket { rate, burst }),
        (1_u64..50, 1_u64..5).prop_map(|(limit, seconds)| Shape::Window { limit, seconds }),
    ]
}

/// A limit on its own.
enum Single {
    Bucket(TokenBucket<ManualClock>),
    Window(Box<SlidingWindow<ManualClock>>),
}

impl Shape {
    fn bucket(rate: u64, burst: u64) -> TokenBucket<ManualClock> {
        TokenBucket::with_clock(Quota::per_second(rate).burst(burst), ManualClock::new())
    }

    fn window(limit: u64, seconds: u64) -> SlidingWindow<ManualClock> {
        SlidingWindow::with_clock(limit, Duration::from_secs(seconds), ManualClock::new())
            .expect("a valid window")
    }

    fn single(self) -> Single {
        match self {
            Self::Bucket { rate, burst } => Single::Bucket(Self::bucket(rate, burst)),
            Self::Window { limit, seconds } => {
                Single::Window(Box::new(Self::window(limit, seconds)))
            }
        }
    }
}

impl Single {
    fn peek(&self, n: u64, at: Timestamp) -> Result<(), Denied> {
        match self {
            Self::Bucket(bucket) => bucket.peek_at(n, at),
            Self::Window(window) => window.peek_at(n, at),
        }
    }

    fn charge(&self, n: u64, at: Timestamp) {
        match self {
            Self::Bucket(bucket) => bucket.try_acquire_at(n, at),
            Self::Window(window) => window.try_acquire_at(n, at),
        }
        .expect("the limit admits it");
    }

    fn available(&self, at: Timestamp) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.available_at(at),
            Self::Window(window) => window.available_at(at),
        }
    }
}

fn combine(shapes: &[Shape]) -> Combined<ManualClock> {
    let limit = |name, shape| match shape {
        Shape::Bucket { rate, burst } => (name, tidegate::Limit::from(Shape::bucket(rate, burst))),
        Shape::Window { limit, seconds } => (name, Shape::window(limit, seconds).into()),
    };
    let mut limits = NAMES
        .into_iter()
        .zip(shapes)
        .map(|(name, shape)| limit(name, *shape));
    let (name, first) = limits.next().expect("at least one");
    let builder = Combined::builder().limit(name, first);
    limits
        .fold(builder, |builder, (name, next)| builder.limit(name, next))
        .build()
}

/// Returns the refusal with the longest wait, the first of equals.
fn longest(singles: &[Single], costs: &[u64], at: Timestamp) -> Option<(&'static str, Denied)> {
    let mut longest: Option<(&str, Denied)> = None;
    for ((name, single), &n) in NAMES.into_iter().zip(singles).zip(costs) {
        let Err(denied) = single.peek(n, at) else {
            continue;
        };
        let wait = |denied: Denied| denied.retry_after().unwrap_or(Duration::MAX);
        if longest.is_none_or(|(_, other)| wait(denied) > wait(other)) {
            longest = Some((name, denied));
        }
    }
    longest
}

proptest! {
    #[test]
    fn charges_all_or_none(
        shapes in prop::collection::vec(any_shape(), 1..=5),
        script in prop::collection::vec((0_u64..SECOND, prop::collection::vec(0_u64..9, 5)), 1..60),
    ) {
        let combined = combine(&shapes);
        let singles: Vec<Single> = shapes.iter().map(|shape| shape.single()).collect();
        let mut now = 0;
        for (step, costs) in script {
            now += step;
            let at = Timestamp::from_nanos(now);
            let costs = &costs[..shapes.len()];
            let outcome = combined.try_acquire_each_at(costs, at);
            match longest(&singles, costs, at) {
                None => {
                    prop_assert_eq!(outcome, Ok(()));
                    for (single, &n) in singles.iter().zip(costs) {
                        single.charge(n, at);
                    }
                }
                Some((name, denied)) => {
                    let refusal = outcome.unwrap_err();
                    prop_assert_eq!((refusal.limit(), refusal.denied()), (name, denied));
                    prop_assert_eq!(NAMES[refusal.index()], name);
                    // The hint is exact for all limits together. No token lasts more than a second,
                    // so a peek ahead does not raise an epoch.
                    if let Some(wait) = refusal.retry_after() {
                        let then = at + wait;
                        prop_assert!(longest(&singles, costs, then).is_none(), "hint too short");
                        let earlier = Timestamp::from_nanos(then.as_nanos() - 1);
                        prop_assert!(longest(&singles, costs, earlier).is_some(), "hint too long");
                    }
                }
            }
            for (name, single) in NAMES.into_iter().zip(&singles) {
                prop_assert_eq!(combined.available_in_at(name, at), Some(single.available(at)));
            }
            prop_assert_eq!(combined.forfeited(), 0);
        }
    }
}
