//! The shipped limiter of an API under its model.

use tidegate::ApiRateLimiter;
use tidegate_loom_tests::api_models as models;
use tidegate_loom_tests::bucket_twin::NoClock;

#[test]
fn overtaken_by_a_minute() {
    models::overtaken_by_a_minute::<ApiRateLimiter<NoClock>>();
}
