//! A tuple of limiters of different types against the same limiters, called one by one.

use core::time::Duration;

use proptest::prelude::*;
use tidegate::{
    AllOrNothing, Denied, FixedKeyed, Keyed, ManualClock, Quota, SlidingWindow, Timestamp,
    TokenBucket,
};

const SECOND: u64 = 1_000_000_000;
const KEYS: [&str; 3] = ["a", "b", "c"];

type Numbers = (u64, u64);

/// One limiter of each type.
struct Limiters {
    bucket: TokenBucket<ManualClock>,
    window: SlidingWindow<ManualClock>,
    fixed: FixedKeyed<ManualClock>,
    keyed: Keyed<String, TokenBucket<ManualClock>>,
}

const fn quota((rate, burst): Numbers) -> Quota {
    Quota::per_second(rate).burst(burst)
}

impl Limiters {
    fn new([bucket, window, fixed, keyed]: [Numbers; 4]) -> Self {
        let (limit, seconds) = window;
        let length = Duration::from_secs(1 + seconds % 5);
        let of_key = quota(keyed);
        Self {
            bucket: TokenBucket::with_clock(quota(bucket), ManualClock::new()),
            window: SlidingWindow::with_clock(limit, length, ManualClock::new())
                .expect("a valid window"),
            fixed: FixedKeyed::with_clock(quota(fixed), 1_000, ManualClock::new()),
            keyed: Keyed::new(move |_: &String| {
                TokenBucket::with_clock(of_key, ManualClock::new())
            }),
        }
    }

    fn peek(&self, index: usize, key: &str, n: u64, at: Timestamp) -> Result<(), Denied> {
        match index {
            0 => self.bucket.peek_at(n, at),
            1 => self.window.peek_at(n, at),
            2 => self.fixed.peek_at(key, n, at),
            _ => self.keyed.peek_at(key, n, at),
        }
    }

    fn charge(&self, key: &str, costs: [u64; 4], at: Timestamp) {
        let charged = [
            self.bucket.try_acquire_at(costs[0], at),
            self.window.try_acquire_at(costs[1], at),
            self.fixed.try_acquire_at(key, costs[2], at),
            self.keyed.try_acquire_at(key, costs[3], at),
        ];
        assert_eq!(charged, [Ok(()); 4], "each limiter admits it");
    }

    fn available(&self, at: Timestamp) -> Vec<u64> {
        let fixed = KEYS.map(|key| self.fixed.available_at(key, at));
        let keyed = KEYS.map(|key| self.keyed.available_at(key, at));
        let single = [self.bucket.available_at(at), self.window.available_at(at)];
        [&single[..], &fixed, &keyed].concat()
    }

    /// Returns the refusal with the longest wait, the first of equals.
    fn longest(&self, key: &str, costs: [u64; 4], at: Timestamp) -> Option<(usize, Denied)> {
        let wait = |denied: &Denied| denied.retry_after().unwrap_or(Duration::MAX);
        let mut longest: Option<(usize, Denied)> = None;
        for (index, n) in costs.into_iter().enumerate() {
            if let Err(denied) = self.peek(index, key, n, at) {
                if longest.is_none_or(|(_, other)| wait(&denied) > wait(&other)) {
                    longest = Some((index, denied));
                }
            }
        }
        longest
    }
}

fn any_numbers() -> impl Strategy<Value = Numbers> {
    (1_u64..50, 1_u64..50)
}

proptest! {
    #[test]
    fn charges_all_or_none(
        numbers in prop::array::uniform4(any_numbers()),
        script in prop::collection::vec(
            (0_u64..SECOND, 0_usize..3, prop::array::uniform4(0_u64..9)),
            1..60,
        ),
    ) {
        let (together, single) = (Limiters::new(numbers), Limiters::new(numbers));
        let mut now = 0;
        for (step, key, costs) in script {
            now += step;
            let (at, key) = (Timestamp::from_nanos(now), KEYS[key]);
            let tuple = (
                &together.bucket,
                &together.window,
                together.fixed.at(key),
                together.keyed.at(key),
            );
            let peeked = tuple.peek_each_at(costs, at);
            let outcome = tuple.try_acquire_each_at(costs, at);
            prop_assert_eq!(peeked, outcome);
            match single.longest(key, costs, at) {
                None => {
                    prop_assert_eq!(outcome, Ok(()));
                    single.charge(key, costs, at);
                }
                Some((index, denied)) => {
                    let refusal = outcome.unwrap_err();
                    prop_assert_eq!((refusal.index(), refusal.denied()), (index, denied));
                    prop_assert_eq!(refusal.forfeited(), 0);
                    // The hint is exact for all members together.
                    if let Some(wait) = refusal.retry_after() {
                        let then = at + wait;
                        prop_assert!(single.longest(key, costs, then).is_none(), "hint too short");
                        let earlier = Timestamp::from_nanos(then.as_nanos() - 1);
                        prop_assert!(single.longest(key, costs, earlier).is_some(), "hint too long");
                    }
                }
            }
            prop_assert_eq!(together.available(at), single.available(at));
        }
    }
}
