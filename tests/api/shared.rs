//! One organization's quota under the limiters of several models.

use alloc::sync::Arc;

use tidegate::{
    ConfigErrorKind, Limiter as _, Quota, RestoreError, SlidingWindow, TokenBucket, UnixTime,
};

use super::*;

type Bucket = TokenBucket<ManualClock>;

struct Org {
    requests: Arc<Bucket>,
    tokens: Arc<Bucket>,
    clock: ManualClock,
}

impl Org {
    fn new(requests: u64, tokens: u64) -> Self {
        let clock = ManualClock::new();
        let bucket = |quota| Arc::new(TokenBucket::with_clock(quota, clock.clone()));
        Self {
            requests: bucket(Quota::per_minute(requests)),
            tokens: bucket(Quota::per_minute(tokens)),
            clock,
        }
    }

    fn model(&self, limits: &str) -> ApiRateLimiter<ManualClock> {
        let config = limits.parse().expect("valid");
        ApiRateLimiter::builder_with_clock(config, self.clock.clone())
            .shared("org", self.requests.clone())
            .shared_tokens("org tokens", self.tokens.clone())
            .build()
            .expect("valid")
    }
}

#[test]
fn call_is_charged_to_own_and_shared_limits_or_to_none() {
    let org = Org::new(5, 1_000);
    let models = ["3/min, 800 tokens/min", "9/min, 900 tokens/min", "9/min"];
    let [small, large, free] = models.map(|limits| org.model(limits));
    for _ in 0..3 {
        assert!(!small.try_acquire().is_limited);
    }
    assert_eq!(small.try_acquire().limited_by, Some(LimitKind::Minute));
    assert_eq!(org.requests.available(), 2, "a refusal charges nothing");

    let permit = large.reserve_tokens(700).expect("there is room");
    assert_eq!(org.tokens.available(), 300);
    let refused = free.reserve_tokens(301).expect_err("300 are left");
    assert_eq!(refused.limit_name(), Some("org tokens"));
    assert_eq!(refused.limited_by, Some(LimitKind::Shared));
    let start = "shared limit org tokens of 1000 permits reached, retry in ";
    assert!(
        refused.message().to_string().starts_with(start),
        "{refused}"
    );
    assert_eq!(refused.retry_after(), Duration::from_millis(60));
    assert_eq!(
        (refused.tokens_remaining, refused.requests_remaining),
        (300, 1)
    );
    assert_eq!((org.requests.available(), free.stats().in_flight), (1, 0));
    permit.settle(100);
    assert_eq!(org.tokens.available(), 900);
    drop(free.reserve_tokens(900).expect("there is room")); // never sent
    assert_eq!((org.requests.available(), org.tokens.available()), (1, 900));

    large.record_tokens(950);
    let status = free.try_acquire();
    assert_eq!(status.limit_name(), Some("org tokens"));
    assert_eq!(status.limited_by, Some(LimitKind::Shared));
    org.clock.advance(Duration::from_secs(6));
    assert!(!free.try_acquire().is_limited);
    let status = large.try_acquire();
    assert_eq!(status.limit_name(), Some("org"));
    assert_eq!(status.limited_by, Some(LimitKind::Shared));
    assert_eq!(large.available_at(org.clock.now()), 0);
    let never = free.reserve_tokens(1_001).expect_err("above the org's");
    assert!(never.is_permanent, "{never}");
}

#[test]
fn threads_of_all_models_take_exactly_what_there_is() {
    for _ in 0..50 {
        let org = Org::new(100, 1_000_000);
        let models = [
            org.model("80/min"),
            org.model("70/min"),
            org.model("1k/min"),
        ];
        let admitted = parallel::in_parallel(3, |thread| {
            let calls = (0..200).filter(|_| !models[thread].try_acquire().is_limited);
            calls.count()
        });
        assert_eq!(admitted.iter().sum::<usize>(), 100, "{admitted:?}");
        assert!(admitted[0] <= 80 && admitted[1] <= 70, "{admitted:?}");
    }
}

#[test]
fn waiter_goes_when_the_shared_limit_allows() {
    let clock = stepped(RateLimitConfig::UNLIMITED).1;
    let org = Arc::new(TokenBucket::with_clock(Quota::per_second(1), clock.clone()));
    let model = || {
        let config = RateLimitConfig::UNLIMITED;
        let builder = ApiRateLimiter::builder_with_clock(config, clock.clone());
        builder.shared("org", org.clone()).build().expect("valid")
    };
    let (one, other) = (model(), model());
    assert!(!one.try_acquire().is_limited);
    let start = clock.now();
    clock.run(1, |_| {
        assert!(!other.acquire().wait().is_limited);
        assert!(!one.acquire().wait().is_limited);
    });
    assert_eq!(clock.now() - start, Duration::from_secs(2));
    let status = one.acquire().timeout(Duration::from_millis(999)).wait();
    assert_eq!(status.limit_name(), Some("org"));
    assert_eq!(status.limited_by, Some(LimitKind::Shared));
}

#[test]
fn shared_limits_are_changed_where_they_are() {
    let org = Org::new(5, 1_000);
    let model = org.model("9/min");
    org.tokens.set_quota(Quota::per_minute(2_000));
    org.clock.advance(Duration::from_secs(60));
    let permit = model.reserve_tokens(2_000).expect("the new quota");
    permit.settle(0);
    org.tokens.set_quota(Quota::per_minute(10));
    let guess = TokenEstimate::guess(5_000);
    model.reserve_tokens(guess).expect("capped at 10").settle(0);
    let config = "7/min".parse().expect("valid");
    model.reconfigure(config).expect("the same limits");
    assert_eq!(org.requests.capacity(), 5);

    let saved = model.save_at(model.now(), UnixTime::from_nanos(1));
    let fresh = org.model("7/min");
    let restored = ApiRateLimiter::restore_at(&saved, fresh, model.now(), UnixTime::from_nanos(2));
    assert_eq!(restored.err(), Some(RestoreError::Shared));
}

#[test]
fn windows_and_limits_of_one_limiter_can_be_added() {
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(2, Duration::from_secs(10), clock.clone());
    let config = RateLimitConfig::UNLIMITED;
    let limiter = ApiRateLimiter::builder_with_clock(config, clock.clone())
        .shared("10 seconds", window.expect("valid"))
        .build()
        .expect("valid");
    assert!(!limiter.try_acquire().is_limited && !limiter.try_acquire().is_limited);
    let status = limiter.try_acquire();
    assert_eq!(status.limit_name(), Some("10 seconds"));
    assert_eq!(status.limited_by, Some(LimitKind::Shared));

    let bucket = || TokenBucket::with_clock(Quota::per_minute(1), clock.clone());
    let mut builder = ApiRateLimiter::builder_with_clock(config, clock.clone());
    for _ in 0..5 {
        builder = builder.shared_tokens("tokens", bucket());
    }
    let error = builder.build().expect_err("five");
    assert_eq!(
        (error.field(), error.kind()),
        ("shared_tokens", ConfigErrorKind::TooMany)
    );
}
